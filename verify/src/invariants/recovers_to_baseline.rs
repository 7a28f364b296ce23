//! **The cluster recovers.** What was intended after H + `recovered_us` and before the load ended
//! (`settle`), compared with what was intended from `load` on, and happened, before the first fault:
//!
//! - the 90th percentile of the time from the intended send to its acceptance is at most 3 times as
//!   long plus 50 ms (on real sockets 500 ms: the machine's other work is in it); a send without an
//!   answer after the recovery counts with the time that it had until the users were last watched, one
//!   that was refused for good or given up does not count;
//! - so is the 90th percentile of the time from the acceptance to the showing, on devices whose stream
//!   had begun before;
//! - resends per send are at most twice as many plus 5 %; those in the first session after a device's own
//!   goodbye (code 1000) do not count: the scenario wanted it;
//! - connection attempts per second are at most twice as many, plus one attempt of 5 % of the devices.
//!   The attempt after a device's own goodbye does not count either.
//!
//! A device is away by the scenario's wish from its own goodbye, the revocation of its user's tokens, or, where
//! the scenario lets sessions end with their tokens, a close with 4401, to its next session. A send that was intended before the end of such a time and is not answered before
//! its beginning counts on neither side, and no attempt to connect between a revocation and the next login.
//!
//! Nothing counts of the users whom the scenario makes slow: they delay their answers and lose their
//! sessions by themselves.
//!
//! - Judged, if there was a fault, both sides have at least 20 sends (for showing: 20 of these), and the load ran to its end
//!   (`settle`): sends after the recovery. Otherwise this claim is idle: without a fault there is
//!   nothing to recover from, and a side that was cut off says nothing about rates.
//! - Excused: what is worse while the disk under the cluster's data stalled, for no reason of the cluster's, between
//!   H + `recovered_us` and the end of the load: for a thirtieth of that time at least, since a stall delays three
//!   times as much as happens meanwhile, and this claim is a matter of the slowest tenth. That makes the verdict
//!   unknown.
//! - Bounds: factor and allowance leave room for chance in small samples. What this is to catch (a
//!   retry storm, a queue that never drains) is a matter of orders of magnitude.
//! - Broken by: a third of the sends without an answer after the heal. Not by: as many reconnects after
//!   the heal as the scenario wants before.
//!
//! Streaming: four histograms.

use super::Check;
use crate::history::event::{Event, Phase, What};
use crate::recovery::{FEWEST, Side, Stalled};
use crate::state::merge::Slots;
use crate::state::recent::About;
use crate::state::{State, Step};
use crate::tally::Tally;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
pub(crate) struct Invariant {
    before: Side,
    after: Side,
    load_began_at: Option<u64>,
    after_until: Option<u64>,
    stalled: Stalled,
    /// Devices that said goodbye and have not tried to connect since.
    away: BTreeSet<usize>,
    /// Devices whose session is the first after an own goodbye.
    own: BTreeSet<usize>,
    /// When each device was back last that was away by the scenario's wish; `u64::MAX`: it is away.
    back_at: BTreeMap<usize, u64>,
}

impl Check for Invariant {
    fn observe(&mut self, state: &State, step: &Step, event: &Event, _: &mut Tally) {
        if let What::Usage(usage) = &event.is {
            return self.stalled.look(state, usage, self.after_until.is_some());
        }
        if is_of_slow(state, step, event) {
            return;
        }
        match &event.is {
            What::Accepted { .. } => {
                let Some(open) = step.answered else { return };
                if !self.was_away(step.device, open.intended)
                    && let Some(side) = self.side(state, open.intended)
                {
                    let latency = state.now.saturating_sub(open.intended);
                    side.latency_us.saturating_record(latency.max(1));
                }
            }
            What::Shown { .. } if step.log.acked != 0 && !step.was_shown => {
                let since = step.log.known_at;
                if state.is_attached(step.pair)
                    && step.before.attached_at < since
                    && let Some(side) = self.side(state, since)
                {
                    let latency = state.now.saturating_sub(since);
                    side.delivery_us.saturating_record(latency.max(1));
                }
            }
            What::Sent { intended, .. } => {
                if let Some(side) = self.side(state, *intended) {
                    side.sends += 1;
                }
            }
            What::Resent { .. } => {
                // What comes again after an own goodbye is the scenario's wish, too.
                let own = self.own.contains(&step.device);
                if !own && let Some(side) = self.side(state, state.now) {
                    side.resends += 1;
                }
            }
            _ => {
                if self.is_attempt(state, step, event)
                    && let Some(side) = self.side(state, state.now)
                {
                    side.attempts += 1;
                }
            }
        }
    }

    fn follow(&mut self, state: &State, step: &Step, event: &Event) {
        if let What::Usage(usage) = &event.is {
            self.stalled.look(state, usage, self.after_until.is_some());
        } else if !is_of_slow(state, step, event) {
            self.is_attempt(state, step, event);
        }
    }

    fn merge(&mut self, other: Self, _: &Slots, _: &State, _: &mut Tally) {
        self.before.merge(&other.before);
        self.after.merge(&other.after);
        self.load_began_at = self.load_began_at.or(other.load_began_at);
        self.after_until = self.after_until.or(other.after_until);
        self.stalled.recovered_us = self.stalled.recovered_us.or(other.stalled.recovered_us);
        self.stalled.ended_us = self.stalled.ended_us.or(other.stalled.ended_us);
        for (device, at) in other.back_at {
            let back_at = self.back_at.entry(device).or_insert(at);
            *back_at = at.min(*back_at);
        }
    }

    fn finish(&mut self, state: &State, tally: &mut Tally) {
        let run = &state.run;
        let (Some(began), Some(fault), Some(healed), Some(until)) =
            (self.load_began_at, run.first_fault_at, run.healed_at, self.after_until)
        else {
            return;
        };
        let faults_began = fault.min(healed);
        let recovered = healed.saturating_add(state.header.deadlines.recovered_us);
        self.before.lasted_us = faults_began.saturating_sub(began);
        self.after.lasted_us = until.saturating_sub(recovered);
        self.count_unanswered(state);
        let (before, after) = (&self.before, &self.after);
        if before.latency_us.len() < FEWEST || after.latency_us.len() < FEWEST {
            return;
        }
        tally.judged = after.latency_us.len();
        let stalled = self.stalled.explains(after.lasted_us);
        for fault in after.worse_than(before, state.header.engine, judged_devices(state)) {
            match stalled {
                Some(share) => tally.doubts.push(format!(
                    "after the heal: {fault}; but the disk stalled for {:.1} % of that time",
                    share * 100.0
                )),
                None => tally.late(state, About::default(), || format!("after the heal: {fault}")),
            }
        }
    }
}

/// Devices of the users that are not slow.
fn judged_devices(state: &State) -> usize {
    (0..state.devices.len()).filter(|&device| !state.is_slow(device)).count()
}

/// Whether an event is of a device that the scenario makes slow.
const fn is_of_slow(state: &State, step: &Step, event: &Event) -> bool {
    // Of the kinds that count all but these have a device.
    let has_device = !matches!(event.is, What::Phase(_) | What::Revoked { .. });
    has_device && state.is_slow(step.device)
}

impl Invariant {
    /// Notes how the load begins and ends, and who is away by the scenario's wish; whether the event is an
    /// attempt to connect that counts.
    fn is_attempt(&mut self, state: &State, step: &Step, event: &Event) -> bool {
        match &event.is {
            What::Closed { code, .. } => {
                self.own.remove(&step.device);
                if state.header.is_wanted(*code) {
                    self.goes(step.device);
                } else if !state.lacks_tokens(step.device) {
                    self.away.remove(&step.device);
                }
            }
            What::Revoked { user } => state.devices_of(*user).for_each(|device| self.goes(device)),
            What::ConnectFailed { .. } if state.lacks_tokens(step.device) => {}
            What::Opened { .. } | What::ConnectFailed { .. } => {
                let is_opened = matches!(event.is, What::Opened { .. });
                if is_opened && let Some(back_at) = self.back_at.get_mut(&step.device) {
                    *back_at = state.now.min(*back_at);
                }
                // Only the first: if that one fails, the ones behind it are the cluster's matter.
                let is_back = self.away.remove(&step.device);
                if is_back && is_opened {
                    self.own.insert(step.device);
                }
                return !is_back;
            }
            What::Phase(Phase::Load) => self.load_began_at = Some(state.now),
            What::Phase(Phase::Settle) => self.after_until = Some(state.now),
            _ => {}
        }
        false
    }

    /// A device is away by the scenario's wish from now on.
    fn goes(&mut self, device: usize) {
        self.away.insert(device);
        self.back_at.insert(device, u64::MAX);
    }

    /// Whether what a device intended then had to wait, as the scenario wants it.
    fn was_away(&self, device: usize, intended: u64) -> bool {
        self.back_at.get(&device).is_some_and(|back_at| intended <= *back_at)
    }

    /// What has no answer has waited for it until the users were last watched.
    fn count_unanswered(&mut self, state: &State) {
        let Some(until) = state.run.watched_until else { return };
        for (slot, device) in state.devices.iter().enumerate() {
            for open in device.open_sends.iter().filter(|_| !state.is_slow(slot)) {
                if !self.was_away(slot, open.intended)
                    && let Some(side) = self.side(state, open.intended)
                {
                    let latency = until.saturating_sub(open.intended);
                    side.latency_us.saturating_record(latency.max(1));
                }
            }
        }
    }

    /// The side that a time belongs to.
    fn side(&mut self, state: &State, at: u64) -> Option<&mut Side> {
        let recovered = state.header.deadlines.recovered_us;
        match state.run.healed_at {
            None => (self.load_began_at.is_some_and(|began| at >= began)
                && state.run.first_fault_at.is_none())
            .then_some(&mut self.before),
            Some(healed) => (self.after_until.is_none_or(|until| at <= until)
                && at > healed.saturating_add(recovered))
            .then_some(&mut self.after),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::history::What;
    use crate::history::builder::Builder;
    use crate::invariants::tests::{clean, finding, judge, violated};
    use crate::verdict::Verdict;

    const NAME: &str = "recovers_to_baseline";

    fn before() -> Builder {
        let run = Builder::new(2, 1).group(1, &[1, 2]).connect_all();
        (0..30).fold(run, |run, _| run.wait(10_000).say(1, 1))
    }

    fn healed() -> Builder {
        before().fault(1, "blip", "store-1", 100_000).heal()
    }

    fn storm(sends_after: usize, slow_us: u64, reconnects: usize) -> Builder {
        let mut run = healed().wait(600_000);
        for _ in 0..sends_after {
            run = run.wait(10_000).send(1, 1).wait(slow_us).commit(1).accept(1).deliver(1);
        }
        for _ in 0..reconnects {
            run = run.lose(2, 1).connect(2, 1);
        }
        run
    }

    #[test]
    fn the_same_as_before_is_clean() {
        assert_eq!(clean(NAME, &storm(25, 0, 0).finish()).judged, 25);
    }

    #[test]
    fn slow_answers_and_reconnects_without_end_are_noticed() {
        violated(NAME, &storm(25, 300_000, 0).finish());
        violated(NAME, &storm(25, 0, 12).finish());
    }

    /// A disk that stalls for so long while 25 sends wait for 300 ms each, between two looks at it.
    fn on_a_disk_that_stalls(ms: u64) -> Builder {
        // What stalled earlier explains nothing.
        let mut run = healed().disk_stalled(7_000).wait(600_000);
        for _ in 0..25 {
            run = run.wait(10_000).send(1, 1).wait(300_000).commit(1).accept(1).deliver(1);
        }
        run.disk_stalled(7_000 + ms)
    }

    #[test]
    fn what_a_disk_delays_that_stalls_is_not_known() {
        let history = on_a_disk_that_stalls(300).finish();
        assert_eq!(finding(NAME, &history).violations, 0);
        let judged = judge(&history);
        assert_eq!(judged.verdict, Verdict::Unknown, "{judged:#?}");
        let told = judged.doubts.join("; ");
        assert!(told.contains("; but the disk stalled for 3.8 % of that time"), "{told}");
        violated(NAME, &on_a_disk_that_stalls(200).finish());
    }

    #[test]
    fn users_whom_the_scenario_makes_slow_do_not_count() {
        let mut run = Builder::new(2, 1).group(1, &[1, 2]).connect_all();
        for _ in 0..30 {
            run = run.wait(10_000).say(1, 1).say(2, 1);
        }
        run = run.fault(1, "blip", "store-1", 100_000).heal().wait(600_000);
        for _ in 0..25 {
            run = run.send(1, 1).wait(300_000).commit(1).accept(1).deliver(1).say(2, 1);
            run = run.lose(1, 1).connect(1, 1);
        }
        let mut history = run.finish();
        assert_eq!(violated(NAME, &history).violations, 2);
        history.header.slow_users = 1;
        assert_eq!(clean(NAME, &history).judged, 25);
    }

    #[test]
    fn devices_that_go_and_come_back_by_the_scenarios_wish_are_no_storm() {
        let closed = |code| {
            let mut run = storm(25, 0, 0);
            for _ in 0..12 {
                let device = run.device(2, 1);
                run = run.push(What::Closed { device, code }).connect(2, 1);
            }
            run.finish()
        };
        assert_eq!(clean(NAME, &closed(1000)).judged, 25);
        let mut history = closed(4401);
        violated(NAME, &history);
        history.header.tokens_run_out = true;
        assert_eq!(clean(NAME, &history).judged, 25);
    }

    #[test]
    fn what_waits_for_a_login_that_the_scenario_took_away_does_not_count() {
        let revoked = |is_noted: bool| {
            let mut run = storm(25, 0, 0);
            let (device, user) = (run.device(1, 1), protocol::UserId(1));
            for _ in 0..12 {
                if is_noted {
                    run = run.push(What::Revoked { user });
                }
                run = run.push(What::Closed { device, code: 4401 }).send(1, 1).wait(400_000);
                run = run.push(What::ConnectFailed { device });
                if is_noted {
                    run = run.push(What::Granted { user });
                }
                run = run.connect(1, 1).commit(1).accept(1).deliver(1);
            }
            run.finish()
        };
        assert_eq!(clean(NAME, &revoked(true)).judged, 25);
        violated(NAME, &revoked(false));
    }

    #[test]
    fn attempts_that_fail_after_a_goodbye_are_noticed() {
        let mut run = storm(25, 0, 0);
        let device = run.device(2, 1);
        run = run.push(What::Closed { device, code: 1000 });
        for _ in 0..12 {
            run = run.push(What::ConnectFailed { device });
        }
        violated(NAME, &run.finish());
    }

    #[test]
    fn resends_without_end_are_noticed() {
        let mut run = storm(25, 0, 0);
        for message in 1..10 {
            let device = run.device(1, 1);
            let conversation = protocol::ConversationId(1);
            let message = protocol::ClientMessageId(message);
            run = run.push(What::Resent { device, conversation, message });
        }
        violated(NAME, &run.finish());
    }

    #[test]
    fn without_a_fault_there_is_nothing_to_recover_from() {
        let mut run = before().heal().wait(600_000);
        for _ in 0..30 {
            run = run.wait(10_000).send(1, 1).wait(300_000).commit(1).accept(1).deliver(1);
        }
        assert_eq!(finding(NAME, &run.finish()).judged, 0);
    }

    #[test]
    fn too_few_sends_judge_nothing() {
        assert_eq!(finding(NAME, &storm(5, 300_000, 0).finish()).verdict, Verdict::Unknown);
    }
}
