//! **All is delivered after the heal.** A(m, q) => D(d, m, q) for every attached device d that must see
//! it, within `delivered_us` of max(A, H, the beginning of d's stream).
//!
//! Judged when d shows q, and at the end for what d has not shown (see `accepted_message_survives`
//! for who must see what). A device without a stream is not late; its next stream sets the clock
//! anew. Streaming: the time of acceptance per sequence, 8 bytes in the log.

use super::{Check, about_entry};
use crate::ground::recent::About;
use crate::ground::{Ground, Step};
use crate::history::event::{Event, What};
use crate::tally::Tally;

#[derive(Default)]
pub(crate) struct Invariant;

impl Check for Invariant {
    fn observe(&mut self, ground: &Ground, step: &Step, event: &Event, tally: &mut Tally) {
        let What::Shown { entry, .. } = &event.is else { return };
        let allowed = ground.header.deadlines.delivered_us;
        let since = step.log.acked_at;
        let Some(deadline) = ground.deadline(since, step.before.attached_at, allowed) else {
            return;
        };
        if step.was_shown {
            return;
        }
        tally.judged += 1;
        if step.log.acked != 0 && ground.now > deadline {
            tally.violated(ground, about_entry(step, entry), || {
                format!(
                    "{} showed sequence {} of conversation {} {} ms too late",
                    ground.device_name(step.device),
                    entry.sequence,
                    entry.conversation,
                    (ground.now - deadline) / 1_000
                )
            });
        }
    }

    fn finish(&mut self, ground: &Ground, tally: &mut Tally) {
        let away = ground.for_each_overdue(|pair, sequence, deadline| {
            let who = &ground.pairs.whos[(pair / ground.header.devices_per_user) as usize];
            let device = ground.device_of_pair(pair);
            let about = About {
                device: Some(device),
                conversation: Some(who.conversation as usize),
                sequence: Some(sequence),
                ..About::default()
            };
            tally.judged += 1;
            tally.violated(ground, about, || {
                format!(
                    "{} has not shown sequence {sequence} of conversation {}, due at {:.3} s",
                    ground.device_name(device),
                    who.conversation + 1,
                    deadline as f64 / 1e6
                )
            });
        });
        if away > 0 {
            tally.note = Some(format!("{away} due on devices that were away, not judged"));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::history::builder::Builder;
    use crate::invariants::tests::{clean, finding, violated};

    const NAME: &str = "delivered_after_heal";

    fn accepted() -> Builder {
        Builder::new(2, 1)
            .group(1, &[1, 2])
            .connect_all()
            .send(1, 1)
            .commit(1)
            .accept(1)
            .deliver_to(1, 1, 1)
    }

    #[test]
    fn what_was_held_up_by_faults_may_arrive_after_the_heal() {
        let late = accepted().wait(60_000_000).heal().wait(900_000).deliver(1);
        assert_eq!(clean(NAME, &late.finish()).judged, 1);
    }

    #[test]
    fn what_arrives_too_late_or_never_is_noticed() {
        violated(NAME, &accepted().heal().wait(1_100_000).deliver(1).finish());
        violated(NAME, &accepted().heal().finish());
    }

    #[test]
    fn a_device_that_was_away_has_its_time_from_its_return() {
        let back = accepted().lose(2, 1).heal().wait(2_000_000).connect(2, 1).deliver(1);
        clean(NAME, &back.finish());
        let gone = finding(NAME, &accepted().lose(2, 1).heal().finish());
        assert_eq!((gone.judged, gone.violations), (0, 0), "{gone:?}");
    }
}
