//! What `recovers_to_baseline` compares: a time before the faults, and one after the recovery.

use crate::history::event::{Engine, MACHINE, Usage};
use crate::state::State;
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

/// Fewest answered sends on either side.
pub(crate) const FEWEST: u64 = 20;

/// What waits for a disk that stalls, or for a processor, is worked off afterwards, and what comes meanwhile waits,
/// too: it delays so many times as much as happens while it lasts.
pub const DELAYS: f64 = 3.0;

/// How long the disk under the cluster's data had stalled, for no reason of the cluster's, when the recovery was
/// over, and when the load ended; as far as somebody looked.
#[derive(Clone, Copy, Default)]
pub(crate) struct Stalled {
    pub recovered_us: Option<u64>,
    pub ended_us: Option<u64>,
}

impl Stalled {
    /// Somebody looks at the machine.
    pub fn look(&mut self, state: &State, usage: &Usage, is_load_over: bool) {
        let Some(us) = usage.disk_stalled_us.filter(|_| *usage.process == *MACHINE) else { return };
        let recovered = |healed: u64| healed.saturating_add(state.header.deadlines.recovered_us);
        if state.run.healed_at.is_none_or(|healed| state.now <= recovered(healed)) {
            self.recovered_us = Some(us);
        } else if !is_load_over {
            self.ended_us = Some(us);
        }
    }

    /// The share of this time that it stalled, if that may have made the slowest tenth late.
    pub fn explains(self, lasted_us: u64) -> Option<f64> {
        let rise_us = self.ended_us?.saturating_sub(self.recovered_us?);
        let share = rise_us as f64 / lasted_us.max(1) as f64;
        (share * DELAYS >= 0.1).then_some(share)
    }
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

    /// What is worse than it was before the faults, in a sentence each; `devices`: of so many users that are judged.
    pub fn worse_than(&self, before: &Self, engine: Engine, devices: usize) -> Vec<String> {
        let slower = |what: &str, before: &Histogram<u64>, after: &Histogram<u64>| {
            let [was, is] = [before, after].map(|side| side.value_at_quantile(0.9));
            let judged = before.len() >= FEWEST && after.len() >= FEWEST;
            (judged && is > allowed_after_faults(engine, was)).then(|| {
                format!("{what} within {} ms (p90), before {} ms", is / 1_000, was / 1_000)
            })
        };
        let allowed_attempts =
            2.0 * before.attempt_rate() * self.lasted_us as f64 + 1.0 + devices as f64 / 20.0;
        let worse = [
            slower("accepted", &before.latency_us, &self.latency_us),
            slower("shown", &before.delivery_us, &self.delivery_us),
            (self.resend_rate() > 2.0 * before.resend_rate() + 0.05).then(|| {
                let (is, was) = (self.resend_rate(), before.resend_rate());
                format!("{is:.2} resends per send, before {was:.2}")
            }),
            (self.attempts as f64 > allowed_attempts).then(|| {
                format!("{} connection attempts, before {}", self.attempts, before.attempts)
            }),
        ];
        worse.into_iter().flatten().collect()
    }

    pub fn resend_rate(&self) -> f64 {
        self.resends as f64 / self.sends.max(1) as f64
    }

    pub fn attempt_rate(&self) -> f64 {
        self.attempts as f64 / self.lasted_us.max(1) as f64
    }
}
