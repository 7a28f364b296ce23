//! **Only the authorised are accepted.** A message is accepted (by any answer) => its sender's token was
//! valid when it was invoked, or a new one was granted until the answer. A(m, q) => the sender is a
//! member of the conversation at q. An edit or a deletion is seen => it is by the author of what it
//! changes. And a session that began before its user's tokens were revoked shows nothing that was
//! invoked when they had been revoked for too long.
//!
//! - Tokens have been revoked for too long when more than `revocation_us` have passed since the
//!   revocation and since the end of the last fault, and no fault is active (while one is, the cluster
//!   may not have heard of it); until the user is granted a new one. What faults are known counts: for
//!   an answer those before the invocation, for what is shown those before the showing.
//! - The author of an entry is who was first seen or told as its author, before the change is seen.
//! - Judged: answers, edits and deletions seen, and entries shown on such sessions.
//! - Excused: where the log was not read and no join is known, or a change was asked for without an
//!   answer, membership is not judged.
//!   The author of an edit or a deletion of a message that was settled before (see `ground::settled`).
//! - Broken by: an edit by another member. Not by: a message that was invoked before the revocation and
//!   accepted after it, or one that waited in the outbox for the new token.
//!
//! Streaming: the time of revocation per user, 8 bytes, and the author of each sequence, 4 bytes;
//! membership is judged at the end, when all joins and departures are known.

use super::{Check, about_entry};
use crate::ground::ledger::fate;
use crate::ground::members::Standing;
use crate::ground::recent::About;
use crate::ground::{Ground, Step, short};
use crate::history::event::{Event, Said, Seen, What};
use crate::tally::Tally;
use protocol::UserId;

#[derive(Default)]
pub(crate) struct Invariant;

impl Check for Invariant {
    fn observe(&mut self, ground: &Ground, step: &Step, event: &Event, tally: &mut Tally) {
        match &event.is {
            What::Accepted { .. } => {
                tally.judged += 1;
                let Some((place, record)) = step.send else { return };
                let lane = place.lane as usize;
                let granted = ground.granted[lane / ground.header.devices_per_user as usize];
                let waited = step.answered.is_some_and(|open| granted >= open.since);
                if record.is(fate::LATE) && !record.is(fate::ACCEPTED) && !waited {
                    tally.violated(ground, ground.about_send(lane, &record), || {
                        let name = ground.name_of(lane, record.id);
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
                Self::author(ground, step, entry, tally);
                if matches!(event.is, What::Shown { .. }) {
                    Self::served(ground, step, entry, tally);
                }
            }
            _ => {}
        }
    }

    fn finish(&mut self, ground: &Ground, tally: &mut Tally) {
        let devices = ground.header.devices_per_user;
        for (lane, records) in ground.ledger.lanes() {
            let user = lane as u32 / devices;
            for record in records.iter().filter(|record| record.acked > 0) {
                let Some(who) = ground.pairs.find(user, record.conversation) else { continue };
                if ground.standing(who, record.acked) != Standing::Outside {
                    continue;
                }
                tally.violated(ground, ground.about_send(lane, record), || {
                    format!(
                        "message {} was accepted as sequence {} of conversation {}, where its \
                         author is no member",
                        ground.name_of(lane, record.id),
                        record.acked,
                        record.conversation + 1
                    )
                });
            }
        }
    }
}

impl Invariant {
    /// An edit or a deletion is its message's author's.
    fn author(ground: &Ground, step: &Step, entry: &Seen, tally: &mut Tally) {
        let (Said::Edit { target, .. } | Said::Delete { target }) = entry.said else { return };
        if step.target.author == 0 {
            return tally.settled(u64::from(step.is_old_target));
        }
        tally.judged += 1;
        if u64::from(step.target.author) != entry.author.0 {
            let about = About { other: Some(short(target)), ..about_entry(step, entry) };
            tally.violated(ground, about, || {
                format!(
                    "user {} changed message {target} of conversation {}, which user {} had written",
                    entry.author, entry.conversation, step.target.author
                )
            });
        }
    }

    /// A session whose user's tokens were revoked before ends.
    fn served(ground: &Ground, step: &Step, entry: &Seen, tally: &mut Tally) {
        let user = step.device as u64 / u64::from(ground.header.devices_per_user) + 1;
        let revoked = ground.revoked[user as usize - 1];
        if revoked == u64::MAX || ground.devices[step.device].opened_at >= revoked {
            return;
        }
        if step.is_settled {
            return tally.settled(1);
        }
        tally.judged += 1;
        let Some(sent_at) = step.log.sent_at().filter(|sent_at| *sent_at > revoked) else { return };
        if ground.is_revoked(UserId(user), sent_at) {
            tally.violated(ground, about_entry(step, entry), || {
                format!(
                    "{} showed sequence {} of conversation {}, which was sent {:.3} s after its \
                     user's tokens were revoked",
                    ground.device_name(step.device),
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
    use crate::invariants::tests::{clean, violated};
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
}
