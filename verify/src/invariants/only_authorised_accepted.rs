//! **Only the authorised are accepted.** A message is accepted (by any answer), or seen without an answer =>
//! its sender's token was valid when it was invoked, or a new one was granted until then. And the sender
//! is a member of the conversation at q of A(m, q), or, without an answer, at the sequence at which m was
//! seen first. An edit or a deletion is seen => it is by the author of what it
//! changes. A session that began before its user's tokens were revoked shows nothing that was
//! invoked when they had been revoked for too long; and when they have been, no session begins, and no
//! read that is asked for is answered with entries.
//!
//! - Tokens have been revoked for too long when more than `revocation_us` have passed since the
//!   revocation and since the end of the last fault, and no fault is active (while one is, the cluster
//!   may not have heard of it); until the user is granted a new one. What faults are known counts: for
//!   an answer those before the invocation, for what is shown those before the showing, for a read those
//!   before its answer.
//! - The author of an entry is who was first seen or told as its author, before the change is seen.
//! - Judged: answers, what was seen without one, edits and deletions seen, and what such users and sessions
//!   got.
//! - Excused: where the log was not read and no join is known, or a change was asked for without an
//!   answer, membership is not judged. The author of an edit or a deletion of a message that was compacted before.
//! - Broken by: an edit by another member. Not by: a message that was invoked before the revocation and
//!   accepted after it, or one that waited in the outbox for the new token.
//!
//! Streaming: the time of revocation per user, 8 bytes, and the author of each sequence, 4 bytes;
//! membership is judged at the end, when all joins and departures are known.

use super::{Check, about_entry};
use crate::history::event::{Event, Said, Seen, What};
use crate::state::ledger::status;
use crate::state::members::Standing;
use crate::state::recent::About;
use crate::state::{State, Step, short};
use crate::tally::Tally;
use protocol::UserId;

#[derive(Default)]
pub(crate) struct Invariant;

impl Check for Invariant {
    fn observe(&mut self, state: &State, step: &Step, event: &Event, tally: &mut Tally) {
        match &event.is {
            What::Accepted { .. } => {
                tally.judged += 1;
                let Some((slot, record)) = step.send else { return };
                let sender = slot.sender as usize;
                if record.is(status::LATE) && !record.is(status::ACCEPTED) {
                    tally.late(state, state.about_send(sender, &record), || {
                        let name = state.name_of(sender, record.id);
                        format!(
                            "message {name} was accepted, and its token had been revoked before"
                        )
                    });
                }
            }
            What::Shown { entry, .. }
            | What::Received { entry, .. }
            | What::Read { entry, .. }
            | What::Stored { entry } => {
                Self::author(state, step, entry, tally);
                Self::unanswered(state, step, entry, tally);
                if matches!(event.is, What::Shown { .. }) {
                    Self::served(state, step, entry, tally);
                }
            }
            What::Opened { .. } => Self::let_in(state, step, state.now, tally),
            What::ReadEnded { .. } => {
                if let Some(read) = &step.read {
                    Self::let_in(state, step, read.began_at, tally);
                }
            }
            _ => {}
        }
    }

    fn finish(&mut self, state: &State, tally: &mut Tally) {
        let devices = state.header.devices_per_user;
        for (sender, records) in state.ledger.by_sender() {
            let user = sender as u32 / devices;
            for record in records {
                let sequence = if record.acked > 0 { record.acked } else { record.seen };
                if sequence == 0 {
                    continue;
                }
                tally.judged += u64::from(record.acked == 0);
                let Some(who) = state.pairs.find(user, record.conversation) else { continue };
                if state.standing(who, sequence) != Standing::Outside {
                    continue;
                }
                tally.violated(state, state.about_send(sender, record), || {
                    format!(
                        "message {} is sequence {sequence} of conversation {}, where its author is no \
                         member",
                        state.name_of(sender, record.id),
                        record.conversation + 1
                    )
                });
            }
        }
    }
}

impl Invariant {
    /// What appears was accepted, whether or not anybody was told.
    fn unanswered(state: &State, step: &Step, entry: &Seen, tally: &mut Tally) {
        let Some((slot, record)) = step.send else { return };
        if record.is(status::LATE)
            && !record.is(status::ACCEPTED)
            && record.seen == 0
            && record.conversation as usize == step.conversation
        {
            tally.late(state, about_entry(step, entry), || {
                let name = state.name_of(slot.sender as usize, record.id);
                format!(
                    "message {name} was seen, and its token had been revoked before it was sent"
                )
            });
        }
    }

    /// A session begins, or a read that was asked for at a time was answered.
    fn let_in(state: &State, step: &Step, asked_at: u64, tally: &mut Tally) {
        if !state.lacks_tokens(step.device) {
            return;
        }
        tally.judged += 1;
        let user = step.device / state.header.devices_per_user as usize;
        if state.is_revoked(UserId(user as u64 + 1), asked_at) {
            let about = About { device: Some(step.device), ..About::default() };
            tally.late(state, about, || {
                format!(
                    "{} was let in {:.3} s after its user's tokens were revoked",
                    state.device_name(step.device),
                    (asked_at - state.revoked[user]) as f64 / 1e6
                )
            });
        }
    }

    /// An edit or a deletion is its message's author's.
    fn author(state: &State, step: &Step, entry: &Seen, tally: &mut Tally) {
        let (Said::Edit { target, .. } | Said::Delete { target }) = entry.said else { return };
        if step.target.author == 0 {
            return tally.compacted(u64::from(step.is_old_target));
        }
        tally.judged += 1;
        if u64::from(step.target.author) != entry.author.0 {
            let about = About { other: Some(short(target)), ..about_entry(step, entry) };
            tally.violated(state, about, || {
                format!(
                    "user {} changed message {target} of conversation {}, which user {} had written",
                    entry.author, entry.conversation, step.target.author
                )
            });
        }
    }

    /// A session whose user's tokens were revoked before ends.
    fn served(state: &State, step: &Step, entry: &Seen, tally: &mut Tally) {
        let user = step.device as u64 / u64::from(state.header.devices_per_user) + 1;
        let revoked = state.revoked[user as usize - 1];
        if revoked == u64::MAX || state.devices[step.device].opened_at >= revoked {
            return;
        }
        if step.is_compacted {
            return tally.compacted(1);
        }
        tally.judged += 1;
        let Some(sent_at) = step.log.sent_at().filter(|sent_at| *sent_at > revoked) else { return };
        if state.is_revoked(UserId(user), sent_at) {
            tally.late(state, about_entry(step, entry), || {
                format!(
                    "{} showed sequence {} of conversation {}, which was sent {:.3} s after its \
                     user's tokens were revoked",
                    state.device_name(step.device),
                    entry.sequence,
                    entry.conversation,
                    (sent_at - revoked) as f64 / 1e6
                )
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::history::What;
    use crate::history::builder::Builder;
    use crate::invariants::tests::{clean, finding, violated};
    use protocol::UserId;

    const NAME: &str = "only_authorised_accepted";

    fn talk() -> Builder {
        Builder::new(2, 1).group(1, &[1, 2]).connect_all().say(1, 1)
    }

    #[test]
    fn members_with_tokens_are_accepted() {
        assert_eq!(clean(NAME, &talk().finish()).judged, 1);
    }

    #[test]
    fn a_revoked_token_is_honoured_for_the_grace_time_only() {
        let revoked = || talk().push(What::Revoked { user: UserId(1) });
        clean(NAME, &revoked().say(1, 1).finish());
        violated(NAME, &revoked().wait(300_000).say(1, 1).finish());
        let granted = revoked().wait(300_000).push(What::Granted { user: UserId(1) });
        clean(NAME, &granted.say(1, 1).finish());
    }

    #[test]
    fn a_message_may_wait_for_a_new_token() {
        let waits =
            || talk().push(What::Revoked { user: UserId(1) }).wait(300_000).send(1, 1).wait(1_000);
        let granted = |run: Builder| run.push(What::Granted { user: UserId(1) });
        clean(NAME, &granted(waits()).commit(1).accept(1).deliver(1).finish());
        violated(NAME, &granted(waits().commit(1).accept(1)).deliver(1).finish());
    }

    #[test]
    fn an_outsider_must_not_be_accepted() {
        violated(NAME, &talk().change_member(1, 2, false).say(2, 1).finish());
    }

    fn revoked(run: Builder) -> Builder {
        run.push(What::Revoked { user: UserId(1) })
    }

    fn granted(run: Builder) -> Builder {
        run.push(What::Granted { user: UserId(1) })
    }

    #[test]
    fn a_stranger_whose_message_is_seen_without_an_answer_is_noticed() {
        let gone = talk().change_member(1, 1, false);
        violated(NAME, &gone.clone().send(1, 1).commit(1).deliver(1).finish());
        violated(NAME, &gone.send(1, 1).commit(1).finish());
        let before = talk().send(1, 1).commit(1).change_member(1, 1, false);
        clean(NAME, &before.deliver(1).finish());
    }

    #[test]
    fn what_was_sent_without_a_token_is_noticed_without_an_answer() {
        let late = || revoked(talk()).wait(300_000).send(1, 1);
        violated(NAME, &late().commit(1).deliver(1).finish());
        violated(NAME, &late().commit(1).finish());
        clean(NAME, &granted(late()).commit(1).deliver(1).finish());
        clean(NAME, &revoked(talk()).wait(100_000).send(1, 1).commit(1).deliver(1).finish());
    }

    #[test]
    fn a_session_that_begins_with_a_revoked_token_is_noticed() {
        let back = |wait| revoked(talk().lose(1, 1)).wait(wait).open(1, 1);
        violated(NAME, &back(300_000).finish());
        clean(NAME, &back(100_000).finish());
        clean(NAME, &granted(revoked(talk().lose(1, 1)).wait(300_000)).open(1, 1).finish());
        let fault = revoked(talk().lose(1, 1)).wait(300_000).fault(1, "cut", "auth-1", 1_000);
        clean(NAME, &fault.open(1, 1).finish());
    }

    #[test]
    fn what_comes_too_long_after_a_revocation_may_be_the_generators_fault() {
        let late = || revoked(talk()).wait(300_000);
        let let_in = revoked(talk().lose(1, 1)).wait(300_000).open(1, 1);
        let served = revoked(talk()).wait(300_000).send(2, 1).commit(2).accept(2).deliver(1);
        let seen = late().send(1, 1).commit(1).deliver(1);
        for run in [let_in, served, seen, late().say(1, 1), late().read(1, 1, 1, 0)] {
            violated(NAME, &run.clone().finish());
            let limited = What::GeneratorLimited { limit: "lag".into(), times: 1 };
            let history = run.push(limited).finish();
            assert_eq!(finding(NAME, &history).violations, 0);
        }
    }

    #[test]
    fn a_read_with_a_revoked_token_is_noticed() {
        let read = |wait| revoked(talk()).wait(wait).read(1, 1, 1, 0);
        violated(NAME, &read(300_000).finish());
        clean(NAME, &read(100_000).finish());
        clean(NAME, &granted(revoked(talk()).wait(300_000)).read(1, 1, 1, 0).finish());
    }
}
