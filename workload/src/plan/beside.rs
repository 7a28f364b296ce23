//! What faults have users and strangers do, beside everything else: storms, in which many reconnect at once, as
//! when a network comes back, or a push opens every app; and attacks.

use super::operation::{Kind, Operation};
use super::{Plan, random};
use protocol::{ConversationId, DeviceId, UserId};
use scenarios::scenario::{FaultKind, Scenario};
use std::time::Duration;

/// Above the numbers of all other operations: what faults add changes none of them.
const FIRST_ID: u64 = 1 << 50;

/// The same again and again, spread evenly over the time of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Series {
    fault: u32,
    at: Duration,
    lasts: Duration,
    kind: Kind,
    /// How often.
    pub times: u64,
}

/// The series of a run, in the order of their beginnings.
pub fn planned(scenario: &Scenario, seed: u64) -> Vec<Series> {
    let faults = scenarios::faults::schedule(scenario, seed).into_iter();
    let series = faults.filter_map(|fault| {
        let (kind, times) = match fault.kind {
            FaultKind::Storm { reconnects, .. } => (Kind::Reconnect, reconnects),
            FaultKind::Hostile { attacks } => (Kind::Attack, attacks.into()),
            _ => return None,
        };
        Some(Series { fault: fault.id, at: fault.at, lasts: fault.lasts, kind, times })
    });
    series.collect()
}

/// The operations of all series, in the order of time.
#[derive(Debug)]
pub struct Beside<'a> {
    plan: &'a Plan,
    /// With the number of the next operation of each.
    series: Vec<(Series, u64)>,
    /// Operations so far.
    drawn: u64,
}

impl<'a> Beside<'a> {
    pub fn new(plan: &'a Plan, series: &[Series]) -> Self {
        // Without sessions there is nobody who could do it.
        let series = if plan.sessions() == 0 { &[] } else { series };
        Self { plan, series: series.iter().map(|series| (*series, 0)).collect(), drawn: 0 }
    }
}

impl Series {
    fn at(&self, nth: u64) -> Duration {
        self.at + self.lasts.mul_f64(nth as f64 / self.times.max(1) as f64)
    }

    /// Which of all sessions is its nth: each once before one comes again, users far apart one after
    /// another. A stranger comes from where this user is.
    fn session(&self, nth: u64, plan: &Plan) -> u64 {
        let all = plan.sessions();
        let first = random::number(plan.seed, "storm", u64::from(self.fault)) % all;
        (first + nth % all * stride(all)) % all
    }

    /// A number for the choices of its nth.
    fn pick(&self, nth: u64, plan: &Plan) -> u64 {
        random::number(plan.seed, "beside", u64::from(self.fault) << 32 | nth)
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

impl Iterator for Beside<'_> {
    type Item = Operation;

    fn next(&mut self) -> Option<Operation> {
        let under_way = self.series.iter_mut().filter(|(series, nth)| *nth < series.times);
        let next = under_way.min_by_key(|(series, nth)| (series.at(*nth), series.fault))?;
        let (series, nth) = (next.0, next.1);
        next.1 += 1;
        self.drawn += 1;
        let (plan, session) = (self.plan, series.session(nth, self.plan));
        let devices = u64::from(plan.devices);
        let user = UserId(session / devices + 1);
        // They are in no conversation, but each operation names one.
        let own = plan.conversations_of(user).first();
        let conversation = own.copied().unwrap_or(ConversationId(1));
        Some(Operation {
            id: FIRST_ID + self.drawn,
            at: series.at(nth),
            user,
            device: DeviceId((session % devices) as u32 + 1),
            kind: series.kind,
            conversation,
            size: 0,
            pick: series.pick(nth, plan),
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
