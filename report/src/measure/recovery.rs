//! How soon latency is back at its baseline after a fault.
//!
//! The baseline is what was accepted, and shown elsewhere, from `load` to the first fault. A second is
//! slow if more than a tenth of what was answered in it took longer than `verify::allowed_after_faults`
//! of the baseline's p90, or if something was sent and nothing answered until the end of the next second. Latency
//! is back at the beginning of the first three seconds in a row, with at least twenty answers in all, of which none
//! is slow; seconds without sends and answers say nothing. Recovery is known to a second. Latency was not back at the
//! end if fewer than three seconds came behind a slow one; what had three and too few answers, or no slow second at
//! all, is unknown.

use crate::measure::latency::Distribution;
use crate::measured::{Baseline, Second};
use verify::allowed_after_faults;
use verify::history::event::Engine;

/// Fewest answers of a baseline, and of a recovery.
const FEWEST: u64 = 20;
/// Fewest seconds of a recovery.
const SECONDS: u32 = 3;
const SECOND_US: u64 = 1_000_000;

/// One kind of answer: compared with its own baseline.
struct Answers {
    before: Distribution,
    allowed_us: Option<u64>,
    /// Of this second.
    count: u64,
    slow: u64,
}

impl Answers {
    fn new() -> Self {
        Self { before: Distribution::new(), allowed_us: None, count: 0, slow: 0 }
    }

    fn record(&mut self, us: u64, is_before: bool) {
        if is_before {
            self.before.record(us);
        }
        if let Some(allowed) = self.allowed_us {
            self.count += 1;
            self.slow += u64::from(us > allowed);
        }
    }

    fn is_slow(&self) -> bool {
        self.slow * 10 > self.count
    }
}

enum State {
    /// No fault has been yet; whether the load has begun.
    Before { loaded: bool },
    /// Faults are active, or not over for long enough: since when none is, and since when all is well.
    Disturbed { ended_us: Option<u64>, well: Option<Well>, was_slow: bool },
    /// All is well since then.
    Calm { since_us: u64 },
}

struct Well {
    since_us: u64,
    seconds: u32,
    answers: u64,
}

/// Follows a run.
pub(crate) struct Recovery {
    engine: Engine,
    state: State,
    accept: Answers,
    deliver: Answers,
    /// Something was sent in the second before, and nothing answered.
    is_unanswered: bool,
}

impl Recovery {
    pub(crate) fn new(engine: Engine) -> Self {
        let state = State::Before { loaded: false };
        let (accept, deliver) = (Answers::new(), Answers::new());
        Self { engine, state, accept, deliver, is_unanswered: false }
    }

    pub(crate) fn load_began(&mut self) {
        if let State::Before { loaded } = &mut self.state {
            *loaded = true;
        }
    }

    pub(crate) fn fault_began(&mut self) {
        if matches!(self.state, State::Before { .. }) {
            for answers in [&mut self.accept, &mut self.deliver] {
                if answers.before.len() >= FEWEST {
                    let p90 = answers.before.quantile(0.9);
                    answers.allowed_us = p90.map(|p90| allowed_after_faults(self.engine, p90));
                }
            }
        }
        self.state = State::Disturbed { ended_us: None, well: None, was_slow: false };
    }

    /// The last active fault has ended.
    pub(crate) fn faults_ended(&mut self, at: u64) {
        self.state = if self.accept.allowed_us.is_some() {
            State::Disturbed { ended_us: Some(at), well: None, was_slow: false }
        } else {
            State::Calm { since_us: at }
        };
    }

    /// Whether what was intended then, and has its answer now, met a fault or what it left behind.
    pub(crate) fn is_disturbed(&self, intended: u64) -> bool {
        match self.state {
            State::Before { .. } => false,
            State::Disturbed { .. } => true,
            State::Calm { since_us } => since_us >= intended,
        }
    }

    pub(crate) fn accepted(&mut self, us: u64) {
        self.accept.record(us, matches!(self.state, State::Before { loaded: true }));
    }

    pub(crate) fn delivered(&mut self, us: u64) {
        self.deliver.record(us, matches!(self.state, State::Before { loaded: true }));
    }

    /// A second is over. When all has been well for long enough: since when.
    pub(crate) fn second_ended(&mut self, at: u64, second: &Second) -> Option<u64> {
        let was_unanswered = std::mem::take(&mut self.is_unanswered);
        self.is_unanswered = second.accepted == 0 && (second.sent > 0 || was_unanswered);
        let is_slow =
            self.accept.is_slow() || self.deliver.is_slow() || was_unanswered && self.is_unanswered;
        let answers = self.accept.count;
        for kind in [&mut self.accept, &mut self.deliver] {
            (kind.count, kind.slow) = (0, 0);
        }
        let State::Disturbed { ended_us: Some(ended), well, was_slow } = &mut self.state else {
            return None;
        };
        let began = at.saturating_sub(SECOND_US);
        if is_slow || at <= *ended {
            *well = None;
            *was_slow |= at > *ended;
            return None;
        }
        let since_us = began.max(*ended);
        let so_far = well.get_or_insert(Well { since_us, seconds: 0, answers: 0 });
        so_far.seconds += u32::from(answers > 0);
        so_far.answers += answers;
        if so_far.seconds < SECONDS || so_far.answers < FEWEST {
            return None;
        }
        let since_us = so_far.since_us;
        self.state = State::Calm { since_us };
        Some(since_us)
    }

    /// Whether latency was seen not to be back, when nothing comes any more.
    pub(crate) fn is_not_back(&self) -> bool {
        let State::Disturbed { ended_us: Some(_), well, was_slow: true } = &self.state else {
            return false;
        };
        well.as_ref().is_none_or(|well| well.seconds < SECONDS)
    }

    /// With what latencies after the faults were compared; `None`: too little came before them.
    pub(crate) fn baseline(&self) -> Option<Baseline> {
        Some(Baseline {
            accept_p90_us: self.accept.before.quantile(0.9)?,
            accept_allowed_us: self.accept.allowed_us?,
            deliver_p90_us: self.deliver.allowed_us.and(self.deliver.before.quantile(0.9)),
            deliver_allowed_us: self.deliver.allowed_us,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Engine, Recovery, SECOND_US};
    use crate::measured::Second;

    /// Seconds of ten answers each, with these latencies in milliseconds.
    fn pass(recovery: &mut Recovery, second: &mut u64, latencies_ms: &[u64]) -> Option<u64> {
        let mut recovered = None;
        for ms in latencies_ms {
            (0..10).for_each(|_| recovery.accepted(ms * 1_000));
            *second += 1;
            let row = Second { sent: 10, accepted: 10, ..Second::default() };
            recovered = recovered.or(recovery.second_ended(*second * SECOND_US, &row));
        }
        recovered
    }

    #[test]
    fn latency_is_back_when_three_seconds_in_a_row_are_as_before() {
        let mut second = 0;
        let mut recovery = Recovery::new(Engine::Simulated);
        recovery.load_began();
        assert_eq!(pass(&mut recovery, &mut second, &[20, 20, 20]), None);
        recovery.fault_began();
        assert_eq!(pass(&mut recovery, &mut second, &[900, 20, 20, 20, 20]), None, "it goes on");
        recovery.faults_ended(8_400_000);
        assert!(recovery.is_disturbed(8_500_000));
        // Three times 20 ms, and 50 ms more, are as before.
        let recovered = pass(&mut recovery, &mut second, &[111, 109, 109, 111, 20, 20, 109]);
        assert_eq!(recovered, Some(12 * SECOND_US));
        assert!(recovery.is_disturbed(11_900_000) && !recovery.is_disturbed(12_100_000));
        let baseline = recovery.baseline().expect("there was enough before");
        assert_eq!(baseline.accept_allowed_us, 110_000 + (baseline.accept_p90_us - 20_000) * 3);
        assert_eq!(baseline.deliver_allowed_us, None);
    }

    #[test]
    fn a_second_without_answers_is_no_recovery() {
        let mut second = 0;
        let mut recovery = Recovery::new(Engine::Simulated);
        recovery.load_began();
        pass(&mut recovery, &mut second, &[20, 20, 20]);
        recovery.fault_began();
        recovery.faults_ended(3_000_000);
        let silent = |sent| Second { sent, ..Second::default() };
        assert_eq!(pass(&mut recovery, &mut second, &[20, 20]), None);
        assert_eq!(recovery.second_ended(6_000_000, &silent(3)), None);
        assert_eq!(recovery.second_ended(7_000_000, &silent(0)), None);
        second = 7;
        assert_eq!(pass(&mut recovery, &mut second, &[20, 20, 20]), Some(7_000_000));
    }

    #[test]
    fn only_what_was_slow_to_the_end_is_not_back() {
        let few = |recovery: &mut Recovery, second: &mut u64, seconds: &[u64]| {
            for ms in seconds {
                recovery.accepted(ms * 1_000);
                *second += 1;
                let row = Second { sent: 1, accepted: 1, ..Second::default() };
                assert_eq!(recovery.second_ended(*second * SECOND_US, &row), None);
            }
            recovery.is_not_back()
        };
        let mut second = 0;
        let mut recovery = Recovery::new(Engine::Simulated);
        recovery.load_began();
        pass(&mut recovery, &mut second, &[20, 20, 20]);
        recovery.fault_began();
        recovery.faults_ended(second * SECOND_US);
        assert!(!few(&mut recovery, &mut second, &[20; 12]), "too few answers say nothing");
        assert!(few(&mut recovery, &mut second, &[900, 20, 20]));
        assert!(!few(&mut recovery, &mut second, &[20]), "perhaps it is");
        // Sent at the end of a second, and answered in the next one.
        for row in [(1, 0), (0, 1)] {
            second += 1;
            let row = Second { sent: row.0, accepted: row.1, ..Second::default() };
            recovery.second_ended(second * SECOND_US, &row);
        }
        assert!(!recovery.is_not_back());
        for _ in 0..2 {
            second += 1;
            let row = Second { sent: 1, ..Second::default() };
            recovery.second_ended(second * SECOND_US, &row);
        }
        assert!(recovery.is_not_back(), "nothing is answered");
    }

    #[test]
    fn without_a_baseline_calm_begins_when_the_fault_ends() {
        let mut recovery = Recovery::new(Engine::Real);
        recovery.fault_began();
        recovery.faults_ended(5);
        assert!(recovery.is_disturbed(5) && !recovery.is_disturbed(6));
        assert_eq!(recovery.baseline(), None);
    }
}
