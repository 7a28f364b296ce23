//! **Nothing appears that nobody sent.** A message, edit or deletion is seen (shown, received, read or
//! stored) => an earlier S(m) by that author with the same id, conversation and content; and m was not
//! refused for good at its only attempt (unless a dead letter was requeued). A join or a departure is
//! seen => somebody asked for it before.
//!
//! - Judged: sightings of entries.
//! - Excused: joins and departures that are seen before the history tells of anybody who asked for any. A
//!   final refusal after a resend says nothing about the first attempt, so it excludes nothing.
//!   What is seen again after it was settled (see `ground::settled`).
//! - Broken by: a message with another text than was sent; a join that nobody asked for. Not by: a
//!   message that was refused for now and comes later.
//!
//! Streaming: a 32-bit fingerprint of (author, id, content) in the ledger, 32 bytes per send in all.

use super::{Check, about_entry, is_sent};
use crate::ground::ledger::fate;
use crate::ground::{Ground, Step};
use crate::history::event::{Event, Said, Seen, What};
use crate::tally::Tally;

#[derive(Default)]
pub(crate) struct Invariant {
    /// Whether the history tells of those who ask for joins and departures.
    is_told: bool,
}

impl Check for Invariant {
    fn observe(&mut self, ground: &Ground, step: &Step, event: &Event, tally: &mut Tally) {
        self.is_told |= matches!(event.is, What::MemberAsked { .. });
        let Some(entry) = super::entry_of(&event.is) else { return };
        if step.is_old_send {
            // The final read is compared by its sum, under `conversation_order_agrees`.
            let is_stored = matches!(event.is, What::Stored { .. }) && step.is_settled;
            tally.judged += u64::from(is_stored);
            tally.settled(u64::from(!is_stored));
            return;
        }
        let fault = if is_sent(entry) { unsent(step) } else { self.unasked(ground, entry) };
        tally.judged += u64::from(is_sent(entry) || self.is_told);
        let Some(fault) = fault else { return };
        tally.violated(ground, about_entry(step, entry), || {
            let name = if is_sent(entry) {
                format!("message {}", ground.message_name(entry.author.0, entry.message.0))
            } else {
                "a change of membership".to_owned()
            };
            format!(
                "{name} is sequence {} of conversation {}, and {fault}",
                entry.sequence, entry.conversation
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
        Some((_, r)) if r.print != step.print => Some("it was sent with another content"),
        Some((_, r)) if r.is(fate::REFUSED) && !r.is(fate::REQUEUED) => Some("it was refused"),
        Some(_) => None,
    }
}

impl Invariant {
    /// Why a join or departure should not be there.
    fn unasked(&self, ground: &Ground, entry: &Seen) -> Option<&'static str> {
        let (user, joins) = match entry.said {
            Said::Join { user } => (user, true),
            Said::Leave { user } => (user, false),
            _ => return None,
        };
        let who =
            ground.pairs.find((user.0 as u32).wrapping_sub(1), entry.conversation.0 as u32 - 1);
        let asked =
            who.is_some_and(|who| ground.pairs.whos[who as usize].asked[usize::from(joins)]);
        (self.is_told && !asked).then_some("nobody asked for it")
    }
}

#[cfg(test)]
mod tests {
    use crate::history::What;
    use crate::history::builder::Builder;
    use crate::history::event::Said;
    use crate::invariants::tests::{clean, violated};
    use protocol::{ClientMessageId, ConversationId, RejectReason};

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
        clean(NAME, &refused(resent, RejectReason::Unauthorised).commit(1).deliver(1).finish());
    }
}
