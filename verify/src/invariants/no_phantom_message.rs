//! **Nothing appears that nobody sent.** A message, edit or deletion is seen (shown, received, read or
//! stored) => an earlier S(m) by that author with the same id, conversation and content; and m was not
//! refused for good, before or after that, at its only attempt or by a decision (unless a dead letter was
//! requeued). A join or a departure is seen => somebody asked for it before; and a user joins a
//! conversation, or departs from it, at most as often as that was asked for. And a stream ends by
//! `detached` while the users are watched => somebody asked for a departure of its user before; and where a
//! whole final read begins where the stream did or before, the log has a departure of the user behind that.
//!
//! - Judged: observations of entries, and streams that end by `detached`.
//! - Excused: joins and departures that are seen before the history tells of anybody who asked for any;
//!   `detached` in a history of format 1. A final refusal after a resend says nothing about the first
//!   attempt, so it excludes nothing; but
//!   `not_member`, `no_such_message`, `not_author` and `dead_lettered` are decisions about the id, which
//!   stand for ever (not in a history of format 1: clusters of that time might forget them).
//!   A join or a departure may have been tried several times, and done more often, if one of these was not
//!   answered, or a fault was active between the request and the answer, or more than a second passed.
//!   What is seen again after compaction.
//! - Broken by: a message with another text than was sent; a join that nobody asked for. Not by: a
//!   message that was refused for now and comes later.
//!
//! Streaming: a 32-bit fingerprint of (author, id, content) in the ledger, 32 bytes per send in all; streams
//! that ended before their departure was known.

use super::{Check, about_entry, is_sent};
use crate::history::event::{Event, Said, Seen, What};
use crate::state::ledger::status;
use crate::state::merge::Slots;
use crate::state::observe::is_final;
use crate::state::recent::About;
use crate::state::{State, Step};
use crate::tally::Tally;
use crate::verdict::Evidence;
use protocol::RejectReason;

/// Ends of streams that are kept, and of these so many with the evidence of the moment.
const MOST_ENDED: usize = 1 << 16;
const MOST_WITH_EVIDENCE: usize = 64;

/// A stream that ended by `detached`.
struct Ended {
    who: u32,
    from: u32,
    evidence: Option<Box<Evidence>>,
}

#[derive(Default)]
pub(crate) struct Invariant {
    /// Streams that ended when no departure was known, by where they began.
    ended: Vec<Ended>,
}

impl Check for Invariant {
    fn observe(&mut self, state: &State, step: &Step, event: &Event, tally: &mut Tally) {
        if matches!(event.is, What::Detached { .. }) {
            return self.ends(state, step, tally);
        }
        if let What::Rejected { reason, .. } = event.is
            && is_final(reason)
        {
            refused(state, step, reason, tally);
            return;
        }
        let Some(entry) = super::entry_of(&event.is) else { return };
        if step.is_old_send {
            // The final read is compared by its sum, under `conversation_order_agrees`.
            let is_stored = matches!(event.is, What::Stored { .. }) && step.is_compacted;
            tally.judged += u64::from(is_stored);
            tally.compacted(u64::from(!is_stored));
            return;
        }
        let fault = if is_sent(entry) { unsent(step) } else { unasked(state, entry) };
        tally.judged += u64::from(is_sent(entry) || state.is_asked);
        let Some(fault) = fault else { return };
        tally.violated(state, about_entry(step, entry), || {
            let name = if is_sent(entry) {
                format!("message {}", state.message_name(entry.author.0, entry.message.0))
            } else {
                "a change of membership".to_owned()
            };
            format!(
                "{name} is sequence {} of conversation {}, and {fault}",
                entry.sequence, entry.conversation
            )
        });
    }

    fn merge(&mut self, other: Self, slots: &Slots, _: &State, _: &mut Tally) {
        let ended = other.ended.into_iter();
        self.ended.extend(ended.map(|ended| Ended { who: slots.member(ended.who), ..ended }));
        self.ended.truncate(MOST_ENDED);
    }

    fn finish(&mut self, state: &State, tally: &mut Tally) {
        for Ended { who, from, evidence } in std::mem::take(&mut self.ended) {
            let member = &state.pairs.members[who as usize];
            let log = &state.logs[member.conversation as usize];
            // What ended while the users were watched ended before the final read.
            let known_from = log.known_from(log.head);
            let is_known = known_from.is_some_and(|known| known <= from.saturating_add(1));
            if is_known && member.departure_behind(from).is_none() {
                tally.confirmed(|| evidence.map_or_else(|| untold(state, who, from), |e| *e));
            }
        }
        repeated(state, tally);
    }
}

/// The evidence of a stream that ended without a departure, at the end.
fn untold(state: &State, who: u32, from: u32) -> Evidence {
    let member = &state.pairs.members[who as usize];
    let (user, conversation) = (member.user + 1, member.conversation + 1);
    let what = format!(
        "a stream of conversation {conversation} that began behind {from} ended by `detached`, and user \
         {user} did not depart behind that"
    );
    let conversation = Some(member.conversation as usize);
    state.evidence(what, About { conversation, ..About::default() })
}

/// Who joined or departed more often than anybody asked for.
fn repeated(state: &State, tally: &mut Tally) {
    for who in &state.pairs.members {
        for (joined, what) in [(false, "departed from"), (true, "joined")] {
            if who.is_beyond_asked(joined) {
                let conversation = Some(who.conversation as usize);
                let about = About { conversation, sequence: who.last(joined), ..About::default() };
                tally.violated(state, about, || {
                    format!(
                        "user {} {what} conversation {} more often than was asked for",
                        who.user + 1,
                        who.conversation + 1
                    )
                });
            }
        }
    }
}

/// A send is refused for good: then nobody can have seen it.
#[cold]
fn refused(state: &State, step: &Step, reason: RejectReason, tally: &mut Tally) {
    let Some((slot, record)) = step.send else {
        return tally.compacted(u64::from(step.is_old_send));
    };
    if record.seen > 0 && !record.is(status::REQUEUED) && state.excludes(reason, &record) {
        let sender = slot.sender as usize;
        tally.violated(state, state.about_send(sender, &record), || {
            format!(
                "message {} is sequence {} of conversation {}, and is refused for good",
                state.name_of(sender, record.id),
                record.seen,
                record.conversation + 1
            )
        });
    }
}

/// Why a message, edit or deletion should not be there.
const fn unsent(step: &Step) -> Option<&'static str> {
    match step.send {
        None => Some("nobody sent it"),
        Some((_, r)) if r.conversation as usize != step.conversation => {
            Some("it was sent to another conversation")
        }
        Some((_, r)) if r.fingerprint != step.fingerprint => {
            Some("it was sent with another content")
        }
        Some((_, r)) if r.is(status::REFUSED) && !r.is(status::REQUEUED) => Some("it was refused"),
        Some(_) => None,
    }
}

impl Invariant {
    /// A stream ends by `detached`: its user departs.
    fn ends(&mut self, state: &State, step: &Step, tally: &mut Tally) {
        if state.header.format < 2 || state.run.watched_until.is_some() || !state.is_asked {
            return;
        }
        tally.judged += 1;
        let who = &state.pairs.members[step.who as usize];
        let about = About {
            device: Some(step.device),
            conversation: Some(step.conversation),
            other: Some(step.before.from),
            ..About::default()
        };
        if who.asked[0] == 0 {
            return tally.violated(state, about, || {
                format!(
                    "the stream of conversation {} on {} ended by `detached`, and nobody had asked for \
                     a departure of its user",
                    step.conversation + 1,
                    state.device_name(step.device)
                )
            });
        }
        let device = &state.devices[step.device];
        let from = step.before.from;
        if step.before.session == device.session
            && device.open
            && who.departure_behind(from).is_none()
            && self.ended.len() < MOST_ENDED
        {
            let evidence = (self.ended.len() < MOST_WITH_EVIDENCE).then(|| {
                let what = format!(
                    "the stream of conversation {} on {}, which began behind {from}, ended by \
                     `detached`, and its user did not depart behind that",
                    step.conversation + 1,
                    state.device_name(step.device)
                );
                Box::new(state.evidence(what, about))
            });
            self.ended.push(Ended { who: step.who, from, evidence });
        }
    }
}

/// Why a join or departure should not be there.
fn unasked(state: &State, entry: &Seen) -> Option<&'static str> {
    let (user, joins) = match entry.said {
        Said::Join { user } => (user, true),
        Said::Leave { user } => (user, false),
        _ => return None,
    };
    let who = state.has_user(user).then(|| (user.0 as u32 - 1, entry.conversation.0 as u32 - 1));
    let who = who.and_then(|(user, conversation)| state.pairs.find(user, conversation));
    let asked =
        who.is_some_and(|who| state.pairs.members[who as usize].asked[usize::from(joins)] > 0);
    (state.is_asked && !asked).then_some("nobody asked for it")
}

#[cfg(test)]
mod tests {
    use crate::history::What;
    use crate::history::builder::Builder;
    use crate::history::event::{Event, Said};
    use crate::invariants::tests::{clean, violated};
    use protocol::{ClientMessageId, ConversationId, RejectReason, UserId};

    const NAME: &str = "no_phantom_message";

    fn refused(builder: Builder, reason: RejectReason) -> Builder {
        let device = builder.device(1, 1);
        let message = ClientMessageId(builder.last_message(1));
        builder.push(What::Rejected { device, conversation: ConversationId(1), message, reason })
    }

    fn talk() -> Builder {
        Builder::new(2, 1).group(1, &[1, 2]).connect_all()
    }

    #[test]
    fn what_was_sent_may_appear() {
        assert!(clean(NAME, &talk().say(1, 1).say(2, 1).finish()).judged > 4);
    }

    #[test]
    fn a_stream_ends_by_a_departure() {
        let detached = |run: Builder| {
            let device = run.device(2, 1);
            run.push(What::Detached { device, conversation: ConversationId(1) })
        };
        let asked = |run: Builder| {
            let (conversation, user) = (ConversationId(1), UserId(2));
            run.push(What::MemberAsked { conversation, user, add: false })
        };
        violated(NAME, &detached(talk()).finish());
        clean(NAME, &detached(talk().change_member(1, 2, false)).finish());
        // It may have been made without an answer, unless the log says that it was not.
        let without_read = |run: Builder| {
            run.finish().tampered(|events| {
                events.retain(|e| !matches!(e.is, What::Stored { .. } | What::StoredAll { .. }));
            })
        };
        clean(NAME, &without_read(detached(asked(talk()))));
        violated(NAME, &detached(asked(talk())).finish());
        let again = || talk().change_member(1, 2, false).change_member(1, 2, true).attach(2, 1, 1);
        let began = |from: u64| {
            let (device, conversation) = (again().device(2, 1), ConversationId(1));
            let from = protocol::Sequence(from);
            again().push(What::Attached { device, conversation, from, head: from })
        };
        clean(NAME, &detached(began(2)).finish());
        violated(NAME, &detached(began(4)).finish());
        let mut old = detached(talk()).finish();
        old.header.format = 1;
        clean(NAME, &old);
    }

    #[test]
    fn another_text_is_a_phantom() {
        let changed = talk().say(1, 1).finish().tampered(|events| {
            for event in events {
                if let What::Shown { entry, .. } = &mut event.is
                    && let Said::Message { hash, .. } = &mut entry.said
                {
                    *hash += 1;
                }
            }
        });
        violated(NAME, &changed);
    }

    #[test]
    fn a_message_without_a_send_is_a_phantom() {
        let unsent = talk().say(1, 1).finish().tampered(|events| {
            events.retain(|e| !matches!(e.is, What::Sent { .. }));
        });
        violated(NAME, &unsent);
    }

    #[test]
    fn a_refused_message_must_not_appear() {
        let refused_once = refused(talk().send(1, 1), RejectReason::NotMember);
        violated(NAME, &refused_once.commit(1).deliver(1).finish());
    }

    #[test]
    fn a_message_that_was_refused_for_now_may_appear() {
        let later = refused(talk().send(1, 1), RejectReason::Unavailable);
        clean(NAME, &later.commit(1).accept(1).deliver(1).finish());
    }

    #[test]
    fn a_refusal_of_a_resend_says_nothing_about_the_first_attempt() {
        let builder = talk().send(1, 1);
        let device = builder.device(1, 1);
        let message = ClientMessageId(builder.last_message(1));
        let conversation = ConversationId(1);
        let resent = builder.push(What::Resent { device, conversation, message });
        for reason in [RejectReason::Unauthorised, RejectReason::BodySize] {
            clean(NAME, &refused(resent.clone(), reason).commit(1).deliver(1).finish());
        }
    }

    #[test]
    fn a_decision_stands_also_at_a_retry() {
        let sent = talk().send(1, 1);
        let (device, message) = (sent.device(1, 1), ClientMessageId(sent.last_message(1)));
        let resent = What::Resent { device, conversation: ConversationId(1), message };
        let decided = [
            RejectReason::NotMember,
            RejectReason::NoSuchMessage,
            RejectReason::NotAuthor,
            RejectReason::DeadLettered,
        ];
        for reason in decided {
            let before = refused(sent.clone().push(resent.clone()), reason).commit(1).deliver(1);
            let after = refused(sent.clone().commit(1).deliver(1).push(resent.clone()), reason);
            violated(NAME, &before.clone().finish());
            violated(NAME, &after.clone().finish());
            let mut old = after.finish();
            old.header.format = 1;
            clean(NAME, &old);
        }
        let requeued = What::Requeued { author: UserId(1), message };
        let letter = refused(sent.push(resent), RejectReason::DeadLettered);
        clean(NAME, &letter.push(requeued).commit(1).deliver(1).finish());
    }

    #[test]
    fn what_was_seen_is_not_refused_at_its_only_attempt() {
        let seen = talk().send(1, 1).commit(1).deliver(1);
        violated(NAME, &refused(seen.clone(), RejectReason::BodySize).finish());
        clean(NAME, &refused(seen, RejectReason::RateLimited).finish());
    }

    #[test]
    fn what_was_asked_for_once_happens_once() {
        let back = || talk().change_member(1, 2, false).change_member(1, 2, true);
        clean(NAME, &back().finish());
        violated(NAME, &back().departed(2, 1).finish());
        // The answer never came: whoever asked may have tried again, and a late attempt is done late.
        let unanswered = back().departed(2, 1).finish().tampered(|events| {
            events.retain(|e| !matches!(e.is, What::MemberChanged { add: false, .. }));
        });
        clean(NAME, &unanswered);
        let fault = back().departed(2, 1).finish().tampered(|events| {
            let asked = |e: &Event| matches!(e.is, What::MemberAsked { add: false, .. });
            let asked = events.iter().position(asked).expect("it was asked for");
            let at = events[asked].at + 1;
            let (kind, target) = ("cut".into(), "store-1".into());
            let began = What::FaultBegan { fault: 1, kind, target, drawn: false, injected: None };
            let ended = What::FaultEnded { fault: 1, effect: 1 };
            events.insert(asked + 1, Event { at, is: began });
            events.insert(asked + 2, Event { at, is: ended });
        });
        clean(NAME, &fault);
    }
}
