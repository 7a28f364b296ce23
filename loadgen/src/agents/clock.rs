//! By how much the clock of an agent's run is off the lead's, and how certain that is.
//!
//! Processes of one host share one monotonic clock: when their runs began on it is all there is to know.
//! Between hosts the lead's answers tell: its time lies between the question and the answer, so each round
//! bounds the offset on both sides by what it took (as in Cristian's algorithm), and all of them together
//! leave what the quickest way there and the quickest way back allow.

use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use std::path::Path;
use tokio::time::Instant;
use verify::history::Clock;

/// Looks at both clocks, of which the closest counts.
const LOOKS: u32 = 16;
/// Times are whole microseconds on both sides.
const ROUNDING_US: u64 = 2;

/// When a run began on the clock of its host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostClock {
    /// Whose clock: the same only for processes that share it.
    id: String,
    began_ns: i64,
    error_ns: u64,
}

impl HostClock {
    /// Of a run that began then; nothing if the system does not say whose clock it is.
    pub fn of(began: Instant) -> Option<Self> {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let space = std::fs::read_link(Path::new("/proc/self/ns/time")).ok();
        let id = format!("{} {}", boot.trim(), space.unwrap_or_default().display());
        let look = |_| {
            let before = monotonic_ns()?;
            let since = i64::try_from(began.elapsed().as_nanos()).ok()?;
            let after = monotonic_ns()?;
            Some(((after - before).unsigned_abs(), i64::midpoint(before, after) - since))
        };
        let (error_ns, began_ns) = (0..LOOKS).filter_map(look).min()?;
        Some(Self { id, began_ns, error_ns })
    }

    /// How this clock of an agent compares with the lead's, if they are the same.
    pub fn compare(&self, lead: &Self) -> Option<Clock> {
        let error_us = (self.error_ns + lead.error_ns).div_ceil(1_000) + ROUNDING_US;
        let offset_us = (self.began_ns - lead.began_ns).div_euclid(1_000);
        (self.id == lead.id).then_some(Clock { offset_us, error_us, is_shared: true })
    }
}

fn monotonic_ns() -> Option<i64> {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).ok()?;
    Some(now.tv_sec() * 1_000_000_000 + now.tv_nsec())
}

/// Questions to the lead and its answers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Comparison {
    /// The offset is not below this, nor above that; the narrowest round.
    bounds: Option<(i64, i64, i64)>,
}

impl Comparison {
    /// Asked and answered at these times of the agent, where the lead's clock showed `at_us`.
    pub fn round(&mut self, asked_us: u64, at_us: u64, answered_us: u64) {
        let [asked, at, answered] = [asked_us, at_us, answered_us].map(u64::cast_signed);
        let (low, high) = (at - answered, at - asked);
        let (lowest, highest, narrowest) = self.bounds.unwrap_or((low, high, high - low));
        self.bounds = Some((lowest.max(low), highest.min(high), narrowest.min(high - low)));
    }

    /// What that says, as soon as there is an answer.
    pub fn clock(&self) -> Option<Clock> {
        let (low, high, narrowest) = self.bounds?;
        // Clocks that drift contradict earlier rounds: by so much they have.
        let drifted = if low > high { narrowest.unsigned_abs() } else { 0 };
        let error_us = (low.abs_diff(high) + drifted).div_ceil(2) + ROUNDING_US;
        Some(Clock { offset_us: i64::midpoint(low, high), error_us, is_shared: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn compared(rounds: &[(u64, u64, u64)]) -> Option<(i64, u64)> {
        let mut comparison = Comparison::default();
        for (asked, at, answered) in rounds {
            comparison.round(*asked, *at, *answered);
        }
        comparison.clock().map(|clock| (clock.offset_us, clock.error_us))
    }

    #[test]
    fn the_quickest_ways_there_and_back_bound_the_offset() {
        assert_eq!(compared(&[]), None);
        // The lead is ahead by 1,000; 40 us there, 60 us back.
        assert_eq!(compared(&[(500, 1_540, 600)]), Some((990, 52)));
        // Quick there but slow back, and the other way round: both together are narrow.
        let both = [(0, 1_010, 500), (2_000, 3_400, 2_420)];
        assert_eq!(compared(&both), Some((995, 17)));
        // A slow round adds nothing.
        let three = [both[0], both[1], (5_000, 7_000, 9_000)];
        assert_eq!(compared(&three), Some((995, 17)));
    }

    #[test]
    fn a_clock_that_drifts_is_less_certain() {
        let drifted = compared(&[(0, 1_010, 20), (10_000_000, 10_002_010, 10_000_020)]);
        assert_eq!(drifted, Some((1_500, 502)));
    }

    #[test]
    fn runs_of_one_host_share_its_clock() {
        let lead = Instant::now();
        let agent = lead + Duration::from_millis(250);
        std::thread::sleep(Duration::from_millis(251));
        let [lead, agent] = [lead, agent].map(|began| HostClock::of(began).expect("Linux says"));
        let clock = agent.compare(&lead).expect("one host");
        assert!(clock.is_shared);
        assert!(clock.offset_us.abs_diff(250_000) <= clock.error_us, "{clock:?}");
        let elsewhere = HostClock { id: "another".to_owned(), ..lead };
        assert_eq!(agent.compare(&elsewhere), None);
    }
}
