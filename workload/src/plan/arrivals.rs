//! When operations arrive: an open-loop process over phases of different rates.
//!
//! Arrivals are drawn at unit rate and stretched by the inverse of the cumulative rate, so that no
//! phase boundary disturbs the process (Lewis and Shedler, 1979).

use super::random;
use rand::Rng;
use rand::rngs::SmallRng;
use rand_distr::Exp1;
use scenarios::scenario::{Arrivals as Kind, Load, LoadPhase};
use std::time::Duration;

/// The times of all operations, over all users, in order.
#[derive(Debug)]
pub struct Arrivals {
    kind: Kind,
    random: SmallRng,
    phases: Vec<LoadPhase>,
    /// The phase that the process is in, where it began, and the arrivals expected before it.
    phase: usize,
    began: f64,
    expected_before: f64,
    /// The process at unit rate.
    units: f64,
}

impl Arrivals {
    /// Arrivals of a load; the last rate goes on for `heal`.
    pub fn new(load: &Load, heal: Duration, seed: u64) -> Self {
        let mut phases = load.phases.clone();
        if let Some(last) = phases.last_mut() {
            last.lasts += heal;
        }
        Self {
            kind: load.arrivals,
            random: random::stream(seed, "arrivals", 0),
            phases,
            phase: 0,
            began: 0.0,
            expected_before: 0.0,
            units: 0.0,
        }
    }
}

impl Iterator for Arrivals {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.units += match self.kind {
            Kind::Poisson => self.random.sample::<f64, _>(Exp1),
            Kind::Constant => 1.0,
        };
        loop {
            let phase = self.phases.get(self.phase)?;
            let lasts = phase.lasts.as_secs_f64();
            let expected = phase.rate * lasts;
            let into = self.units - self.expected_before;
            if into <= expected {
                return Some(Duration::from_secs_f64(self.began + into / phase.rate));
            }
            self.phase += 1;
            self.began += lasts;
            self.expected_before += expected;
        }
    }
}
