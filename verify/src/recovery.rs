//! What `recovers_to_baseline` compares: a time before the faults, and one after the recovery.

use crate::history::event::Engine;
use hdrhistogram::Histogram;

/// Longer latencies count as this: an hour.
const LONGEST_US: u64 = 3_600_000_000;

/// How long the 90th percentile of a latency may be once the faults are over, in microseconds, if it was
/// `before_us` before them: three times as long, and 50 ms more. On real sockets 500 ms more: a busy
/// machine gives a process its turn late by hundreds of milliseconds.
pub const fn allowed_after_faults(engine: Engine, before_us: u64) -> u64 {
    let allowance = match engine {
        Engine::Simulated => 50_000,
        Engine::Real => 500_000,
    };
    3 * before_us + allowance
}

/// One side of the comparison.
pub(crate) struct Side {
    pub latency_us: Histogram<u64>,
    pub delivery_us: Histogram<u64>,
    pub sends: u64,
    pub resends: u64,
    pub attempts: u64,
    pub lasted_us: u64,
}

impl Default for Side {
    fn default() -> Self {
        Self {
            latency_us: histogram(),
            delivery_us: histogram(),
            sends: 0,
            resends: 0,
            attempts: 0,
            lasted_us: 0,
        }
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_US, 3)
        .expect("the bounds are in order and 3 digits are possible")
}

impl Side {
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in
            [(&mut self.latency_us, &other.latency_us), (&mut self.delivery_us, &other.delivery_us)]
        {
            mine.add(theirs).expect("both have the same bounds");
        }
        self.sends += other.sends;
        self.resends += other.resends;
        self.attempts += other.attempts;
    }

    pub fn resend_rate(&self) -> f64 {
        self.resends as f64 / self.sends.max(1) as f64
    }

    pub fn attempt_rate(&self) -> f64 {
        self.attempts as f64 / self.lasted_us.max(1) as f64
    }
}
