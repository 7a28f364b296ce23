//! Storms: many users reconnect at once, as when a network comes back, or a push opens every app.

use super::Plan;
use super::operation::{Kind, Operation};
use protocol::{ConversationId, DeviceId, UserId};
use scenarios::scenario::{FaultKind, Scenario};
use std::time::Duration;

/// Above the numbers of all other operations: a storm changes none of them.
const FIRST_ID: u64 = 1 << 50;

/// One storm of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Storm {
    fault: u32,
    at: Duration,
    lasts: Duration,
    /// How many sessions reconnect.
    pub reconnects: u64,
}

/// The storms of a run, in the order of their beginnings.
pub fn planned(scenario: &Scenario, seed: u64) -> Vec<Storm> {
    let faults = scenarios::faults::schedule(scenario, seed).into_iter();
    let storms = faults.filter_map(|fault| match fault.kind {
        FaultKind::Storm { reconnects, .. } => {
            Some(Storm { fault: fault.id, at: fault.at, lasts: fault.lasts, reconnects })
        }
        _ => None,
    });
    storms.collect()
}

/// The reconnects of all storms, in the order of time.
#[derive(Debug)]
pub struct Reconnects<'a> {
    plan: &'a Plan,
    /// With the number of the next reconnect of each.
    storms: Vec<(Storm, u64)>,
    /// Reconnects so far.
    drawn: u64,
}

impl<'a> Reconnects<'a> {
    pub fn new(plan: &'a Plan, storms: Vec<Storm>) -> Self {
        Self { plan, storms: storms.into_iter().map(|storm| (storm, 0)).collect(), drawn: 0 }
    }
}

impl Storm {
    /// When its nth session reconnects: they are spread evenly over its time.
    fn at(&self, nth: u64) -> Duration {
        self.at + self.lasts.mul_f64(nth as f64 / self.reconnects.max(1) as f64)
    }

    /// Which of all sessions is its nth: each once, users far apart one after another.
    fn session(&self, nth: u64, plan: &Plan) -> u64 {
        let all = plan.sessions();
        let first = super::random::number(plan.seed, "storm", u64::from(self.fault)) % all;
        (first + nth * stride(all)) % all
    }
}

/// How far apart the sessions are that follow one another: about the golden ratio of all, and without a
/// divisor in common, so that each comes once.
fn stride(all: u64) -> u64 {
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    let near = (all as f64 * GOLDEN) as u64;
    (near.max(1)..=all).find(|stride| divisor(*stride, all) == 1).unwrap_or(1)
}

/// The greatest common divisor (Euclid).
const fn divisor(mut one: u64, mut other: u64) -> u64 {
    while other != 0 {
        (one, other) = (other, one % other);
    }
    one
}

impl Iterator for Reconnects<'_> {
    type Item = Operation;

    fn next(&mut self) -> Option<Operation> {
        let under_way = self.storms.iter_mut().filter(|(storm, nth)| *nth < storm.reconnects);
        let (storm, nth) = under_way.min_by_key(|(storm, nth)| (storm.at(*nth), storm.fault))?;
        let (at, session) = (storm.at(*nth), storm.session(*nth, self.plan));
        *nth += 1;
        self.drawn += 1;
        let devices = u64::from(self.plan.devices);
        let user = UserId(session / devices + 1);
        // A reconnect is in no conversation, but each operation names one.
        let own = self.plan.conversations_of(user).first();
        let conversation = own.copied().unwrap_or(ConversationId(1));
        Some(Operation {
            id: FIRST_ID + self.drawn,
            at,
            user,
            device: DeviceId((session % devices) as u32 + 1),
            kind: Kind::Reconnect,
            conversation,
            size: 0,
            pick: 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_session_comes_once() {
        for all in [1, 2, 3, 6, 10, 97, 100, 4_096, 100_000] {
            let stride = stride(all);
            let mut met = vec![false; all as usize];
            for nth in 0..all {
                let session = &mut met[(nth * stride % all) as usize];
                assert!(!*session, "{all}: session {nth} again");
                *session = true;
            }
        }
    }
}
