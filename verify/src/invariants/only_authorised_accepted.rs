//! **Only the authorised are accepted.** A(m, q) => the sender's token was valid when m was invoked
//! (not later than a revocation + `revocation_us`, unless a new token was granted since), and the
//! sender is a member of the conversation at q.
//!
//! Streaming: the time of revocation per user, 8 bytes; membership is judged at the end, when all
//! joins and departures are known. Where the log was not read and no join is known, or a change
//! was asked for without an answer, membership is not judged.

use super::Check;
use crate::ground::ledger::fate;
use crate::ground::pairs::Standing;
use crate::ground::recent::About;
use crate::ground::{Ground, Step};
use crate::history::event::{Event, What};
use crate::tally::Tally;

#[derive(Default)]
pub(crate) struct Invariant;

impl Check for Invariant {
    fn observe(&mut self, ground: &Ground, step: &Step, event: &Event, tally: &mut Tally) {
        if !matches!(event.is, What::Accepted { .. }) {
            return;
        }
        tally.judged += 1;
        let Some((_, record)) = step.send else { return };
        if record.is(fate::LATE) && !record.is(fate::ACCEPTED) {
            let about =
                About { device: Some(step.device), message: Some(record.id), ..About::default() };
            tally.violated(ground, about, || {
                format!(
                    "message {} of {} was accepted, and its token had been revoked before",
                    record.id,
                    ground.device_name(step.device)
                )
            });
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
                let about = About {
                    device: Some(lane),
                    conversation: Some(record.conversation as usize),
                    sequence: Some(record.acked),
                    message: Some(record.id),
                    ..About::default()
                };
                tally.violated(ground, about, || {
                    format!(
                        "message {} of {} was accepted as sequence {} of conversation {}, where \
                         the user is no member",
                        record.id,
                        ground.device_name(lane),
                        record.acked,
                        record.conversation + 1
                    )
                });
            }
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
    fn an_outsider_must_not_be_accepted() {
        violated(NAME, &talk().change_member(1, 2, false).say(2, 1).finish());
    }
}
