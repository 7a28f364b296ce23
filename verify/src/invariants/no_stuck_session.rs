//! **No session is stuck.** For each thing that is due to a connected device (an accepted entry that it
//! has not shown, an own send without an answer), the time from max(last progress, H, due since) until
//! it is done, or until the end, is at most `stuck_us`. And a device that should have a session (it
//! lost one, or failed to get one, and did not say goodbye) has one again within `stuck_us` of
//! max(loss, H).
//!
//! Progress is a welcome, a stream's beginning or end, an entry, an answer, an error, a close: being
//! told that something is wrong is not being stuck. Streaming: 8 bytes per device; what is due is
//! looked up when it is done, or at the end.

use super::Check;
use crate::ground::recent::About;
use crate::ground::{Ground, Step};
use crate::history::event::{Event, What};
use crate::tally::Tally;

#[derive(Default)]
pub(crate) struct Invariant;

impl Check for Invariant {
    fn observe(&mut self, ground: &Ground, step: &Step, event: &Event, tally: &mut Tally) {
        let Some(healed) = ground.run.healed_at else { return };
        let (since, what) = match &event.is {
            What::Shown { .. } if !step.was_shown => {
                tally.judged += 1;
                if step.log.acked == 0 {
                    return;
                }
                (step.log.acked_at.max(step.progress_at), "an accepted entry")
            }
            What::Accepted { .. } | What::Rejected { .. } => {
                let Some(open) = step.answered else { return };
                tally.judged += 1;
                (open.since.max(step.progress_at), "an answer")
            }
            What::Opened { .. } => {
                let Some(down) = step.down_since else { return };
                tally.judged += 1;
                (down, "a session")
            }
            _ => return,
        };
        let waited = ground.now - since.max(healed);
        if waited > ground.header.deadlines.stuck_us {
            judge_stuck(ground, step.device, waited, what, tally);
        }
    }

    fn finish(&mut self, ground: &Ground, tally: &mut Tally) {
        let (Some(healed), Some(ended)) = (ground.run.healed_at, ground.run.ended_at) else {
            return;
        };
        let allowed = ground.header.deadlines.stuck_us;
        let waited = |since: u64| ended.saturating_sub(since.max(healed));
        for (slot, device) in ground.devices.iter().enumerate() {
            if let Some(down) = device.down_since {
                tally.judged += 1;
                if waited(down) > allowed {
                    judge_stuck(ground, slot, waited(down), "a session", tally);
                }
            }
            for open in device.open_sends.iter().filter(|_| device.open) {
                tally.judged += 1;
                let waited = waited(open.since.max(device.progress_at));
                if waited > allowed {
                    judge_stuck(ground, slot, waited, "an answer", tally);
                }
            }
        }
        for (number, pair) in ground.pairs.iter() {
            let slot = ground.device_of_pair(number);
            let device = &ground.devices[slot];
            let who_slot = number / ground.header.devices_per_user;
            let who = &ground.pairs.whos[who_slot as usize];
            if !device.open || pair.stream.left || !who.may_be_member_now() {
                continue;
            }
            let since = ground.oldest_due(who_slot, pair);
            let Some(since) = since else { continue };
            tally.judged += 1;
            let waited = waited(since.max(device.progress_at));
            if waited > allowed {
                judge_stuck(ground, slot, waited, "an accepted entry", tally);
            }
        }
    }
}

fn judge_stuck(ground: &Ground, device: usize, waited: u64, what: &str, tally: &mut Tally) {
    let about = About { device: Some(device), ..About::default() };
    tally.violated(ground, about, || {
        format!(
            "{} waited {:.3} s for {what} without any progress or error",
            ground.device_name(device),
            waited as f64 / 1e6
        )
    });
}

#[cfg(test)]
mod tests {
    use crate::history::What;
    use crate::history::builder::Builder;
    use crate::invariants::tests::{clean, violated};

    const NAME: &str = "no_stuck_session";

    fn talk() -> Builder {
        Builder::new(2, 1).group(1, &[1, 2]).connect_all().say(1, 1)
    }

    #[test]
    fn a_session_that_gets_on_is_clean() {
        let after_heal = talk().heal().say(1, 1).lose(2, 1).connect(2, 1).say(1, 1);
        assert_eq!(clean(NAME, &after_heal.finish()).judged, 7);
    }

    #[test]
    fn a_half_open_session_is_noticed() {
        violated(NAME, &talk().send(1, 1).commit(1).accept(1).deliver_to(1, 1, 1).finish());
        violated(NAME, &talk().send(1, 1).heal().wait(2_000_000).commit(1).accept(1).finish());
    }

    #[test]
    fn a_close_is_progress_and_a_missing_reconnect_is_not() {
        let silent = || talk().send(1, 1).heal().wait(1_400_000);
        clean(NAME, &silent().lose(1, 1).connect(1, 1).commit(1).accept(1).deliver(1).finish());
        violated(NAME, &silent().lose(1, 1).wait(1_600_000).connect(1, 1).finish());
        violated(NAME, &talk().lose(2, 1).finish());
    }

    #[test]
    fn whoever_said_goodbye_may_stay_away() {
        let device = talk().device(2, 1);
        let gone = talk().push(What::Closed { device, code: 1000 }).heal().say(1, 1);
        clean(NAME, &gone.finish());
    }

    #[test]
    fn a_conversation_that_is_not_attached_again_is_noticed() {
        let forgotten = talk().lose(2, 1).connect(2, 1).say(1, 1).finish().tampered(|events| {
            let again = events.iter().rposition(|e| matches!(e.is, What::Attached { .. })).unwrap();
            events.remove(again);
            let shown = events
                .iter()
                .rposition(|e| matches!(&e.is, What::Shown { device, .. } if device.user.0 == 2));
            events.remove(shown.unwrap());
        });
        violated(NAME, &forgotten);
    }
}
