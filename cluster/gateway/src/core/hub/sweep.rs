//! Which sessions are to be looked at.
//!
//! Sessions have no timers of their own. Each look says until when another would show nothing, and a sweep
//! goes over these times alone: eight bytes a session for its own state and eight for its token, in the order
//! of their slots. So silent sessions cost next to nothing, however many there are.

use crate::core::slab::slot;
use protocol::SessionId;

/// Longest time between two looks at a session that has something to do, milliseconds.
const PERIOD_MS: u64 = 1_000;

/// By what tokens are judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenTime {
    /// Milliseconds since the Unix epoch. The clock may jump.
    pub wall_ms: u64,
    /// What the verifier knows (`TokenVerifier::revision`).
    pub revision: u64,
}

/// When a session is to be looked at, unless its state changes before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// By the gateway's time.
    pub look_ms: u64,
    /// By the wall clock.
    pub expires_ms: u64,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Sweep {
    period_ms: u64,
    at: usize,
    at_ms: u64,
    plans: Vec<Plan>,
    revision: u64,
    /// So many slots are looked at whatever was planned: tokens may have been revoked.
    suspect: usize,
}

impl Plan {
    /// Soon: whenever the sweep comes by.
    pub const SOON: Self = Self { look_ms: 0, expires_ms: 0 };
    const NEVER: Self = Self { look_ms: u64::MAX, expires_ms: u64::MAX };
}

impl Sweep {
    /// At the beginning. Each session is looked at several times between two heartbeats, if need be.
    pub fn new(heartbeat_ms: u64) -> Self {
        Self {
            period_ms: (heartbeat_ms / 4).clamp(100, PERIOD_MS),
            at: 0,
            at_ms: 0,
            plans: Vec::new(),
            revision: 0,
            suspect: 0,
        }
    }

    /// When to look at a session.
    pub fn plan(&mut self, id: SessionId, plan: Plan) {
        let slot = slot(id);
        if slot >= self.plans.len() {
            self.plans.resize(slot + 1, Plan::NEVER);
        }
        self.plans[slot] = plan;
    }

    /// Nobody is in a slot.
    pub fn leave_out(&mut self, slot: usize) {
        self.plans[slot] = Plan::NEVER;
    }

    /// The slots that are to be looked at now, and whether the sweep is at its end. Over a period the sweep
    /// comes by all slots; what a slot holds may be gone.
    pub fn next(&mut self, now_ms: u64, time: TokenTime) -> (Vec<usize>, bool) {
        let width = self.plans.len();
        if std::mem::replace(&mut self.revision, time.revision) != time.revision {
            self.suspect = width;
        }
        let passed = now_ms.saturating_sub(self.at_ms).min(self.period_ms);
        let count = (width as u64 * passed).div_ceil(self.period_ms) as usize;
        self.at_ms = now_ms;
        let from = if self.at >= width { 0 } else { self.at };
        self.at = (from + count).min(width);
        let suspect = std::mem::replace(&mut self.suspect, 0);
        self.suspect = suspect.saturating_sub(self.at - from);
        let is_due = |(index, plan): (usize, &Plan)| {
            let due = plan.look_ms <= now_ms || plan.expires_ms <= time.wall_ms;
            (due || index < suspect).then_some(from + index)
        };
        let due = self.plans[from..self.at].iter().enumerate().filter_map(is_due).collect();
        (due, self.at == width)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sweep(plans: &[Plan]) -> Sweep {
        let mut sweep = Sweep::new(4_000);
        for (index, plan) in plans.iter().enumerate() {
            sweep.plan(SessionId(index as u64), *plan);
        }
        sweep
    }

    /// How often each slot is looked at, by ticks of 100 ms.
    fn looks(sweep: &mut Sweep, ticks: std::ops::RangeInclusive<u64>, time: TokenTime) -> Vec<u32> {
        let mut looks = vec![0; sweep.plans.len()];
        for tick in ticks {
            sweep.next(tick * 100, time).0.into_iter().for_each(|slot| looks[slot] += 1);
        }
        looks
    }

    #[test]
    fn who_has_something_to_do_is_looked_at_once_in_a_period() {
        let mut sweep = sweep(&[Plan::SOON; 7]);
        let looks = looks(&mut sweep, 1..=10, TokenTime::default());
        assert!(looks.iter().all(|count| (1..=2).contains(count)), "{looks:?}");
        let now = sweep.next(1_000, TokenTime::default());
        assert!(now.0.is_empty(), "no time has passed");
    }

    #[test]
    fn the_others_are_looked_at_when_their_time_has_come() {
        let plans = [(1_500, u64::MAX), (u64::MAX, 70_000), (u64::MAX, u64::MAX)]
            .map(|(look_ms, expires_ms)| Plan { look_ms, expires_ms });
        let mut sweep = sweep(&plans);
        let before = TokenTime { wall_ms: 69_999, revision: 0 };
        assert_eq!(looks(&mut sweep, 1..=14, before), [0, 0, 0]);
        let counts = looks(&mut sweep, 15..=25, before);
        assert!(counts[0] >= 1 && counts[1..] == [0, 0], "{counts:?}");
        let after = TokenTime { wall_ms: 70_000, ..before };
        let counts = looks(&mut sweep, 26..=36, after);
        assert!(counts[0] >= 1 && counts[1] >= 1 && counts[2] == 0, "{counts:?}");
    }

    #[test]
    fn all_are_looked_at_once_when_tokens_may_have_been_revoked() {
        let mut sweep = sweep(&[Plan::NEVER; 50]);
        assert_eq!(looks(&mut sweep, 1..=13, TokenTime::default()), [0; 50]);
        let changed = TokenTime { wall_ms: 0, revision: 1 };
        let counts = looks(&mut sweep, 14..=40, changed);
        assert_eq!(counts, [1; 50], "wherever the sweep was");
    }
}
