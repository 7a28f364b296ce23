//! When which fault begins: one schedule for both worlds, a pure function of the scenario and the seed.
//!
//! Every fault has a stable id, and what it draws comes from streams of its own, derived from the seed
//! and that id: taking one out of a schedule changes no other. Carrying faults out is left to the worlds.

pub mod claims;
pub mod flap;
mod injection;
pub mod line;
mod random;
pub mod target;

pub use injection::{Injection, NotReplayable};
pub use random::TALKING;

use crate::intensity::{Piece, expected};
use crate::scenario::{FaultKind, Scenario};
use protocol::mix::derive;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::time::Duration;

/// One fault of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedFault {
    /// Names it in the history; from 1, in the order of the beginnings.
    pub id: u32,
    /// When it begins, counted from the beginning of the load.
    pub at: Duration,
    /// How long it lasts.
    pub lasts: Duration,
    /// What it is.
    pub kind: FaultKind,
    /// By lot (`[random_faults]`), not by the scenario's schedule.
    pub drawn: bool,
}

/// All faults of a run, in the order of their beginnings. `every` repeats a fault for as long as it is
/// over before the load ends.
pub fn schedule(scenario: &Scenario, seed: u64) -> Vec<PlannedFault> {
    let load = scenario.load.lasts();
    let scheduled = scenario.faults.iter().flat_map(|fault| {
        let again = move |at: &Duration| fault.every.map(|every| *at + every);
        std::iter::successors(Some(fault.at), again)
            .take_while(move |at| *at + fault.lasts <= load)
            .map(|at| (at, fault.lasts, fault.kind.clone(), false))
    });
    let drawn =
        scenario.random_faults.iter().flat_map(|wanted| random::episodes(seed, wanted, load));
    let drawn = drawn.map(|(at, lasts, kind)| (at, lasts, kind, true));
    let mut all: Vec<_> = scheduled.chain(drawn).collect();
    all.sort_by_key(|(at, ..)| *at);
    let usual = scenario.load.pieces();
    // Whole microseconds, as the history has them: what is read from there is the same fault.
    let whole = |time: Duration| Duration::from_micros(time.as_micros() as u64);
    let number = |((at, lasts, kind, drawn), id)| PlannedFault {
        id,
        at: whole(at),
        lasts: whole(lasts),
        kind: match kind {
            FaultKind::Surge { factor, .. } => {
                let usual = expected(&usual, at, at + lasts);
                FaultKind::Surge { factor, more: (usual * f64::from(factor - 1)).round() as u64 }
            }
            FaultKind::Storm { share, .. } => {
                let reconnects = (share * scenario.sessions() as f64).round() as u64;
                FaultKind::Storm { share, reconnects }
            }
            kind => kind,
        },
        drawn,
    };
    all.into_iter().zip(1..).map(number).collect()
}

/// The rate of the load, piece by piece, as its surges make it; where they overlap they multiply.
pub fn rates(scenario: &Scenario, seed: u64) -> Vec<Piece> {
    let surges: Vec<(Duration, Duration, u32)> = schedule(scenario, seed)
        .into_iter()
        .filter_map(|fault| match fault.kind {
            FaultKind::Surge { factor, .. } => Some((fault.at, fault.at + fault.lasts, factor)),
            _ => None,
        })
        .collect();
    let mut rates = Vec::new();
    let mut began = Duration::ZERO;
    for piece in scenario.load.pieces() {
        let ends = began + piece.lasts;
        let borders = surges.iter().flat_map(|(from, to, _)| [*from, *to]);
        let mut borders: Vec<Duration> = borders.filter(|at| (began..ends).contains(at)).collect();
        borders.extend([began, ends]);
        borders.sort_unstable();
        borders.dedup();
        for (at, next) in borders.iter().zip(&borders[1..]) {
            let active = surges.iter().filter(|(from, to, _)| (*from..*to).contains(at));
            let factor: f64 = active.map(|(.., factor)| f64::from(*factor)).product();
            let part = piece.part(at.saturating_sub(began), next.saturating_sub(began));
            rates.push(part.times(factor));
        }
        began = ends;
    }
    rates
}

/// What a fault draws for one purpose: which of several nodes it hits, or what of their disks it spares.
pub fn stream(seed: u64, fault: u32, purpose: &str) -> ChaCha8Rng {
    named(seed, &format!("fault/{fault}/{purpose}"))
}

fn named(seed: u64, name: &str) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(derive(seed, name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Fault, LoadPhase, Rate, Role, Target};

    fn scenario(faults: Vec<Fault>) -> Scenario {
        let text = "question = \"When?\"\nlesson = \"Then.\"\n[cluster]\n[users]\ncount = 2\n\
                    conversations = { direct = 1 }\n[load]\nphases = [{ for = \"10s\", rate = \"1/s\" }]";
        let scenario =
            crate::parse(text, "when.toml", &[]).unwrap_or_else(|wrong| panic!("{wrong}"));
        Scenario { faults, ..scenario }
    }

    fn pause(at: u64, every: Option<u64>, lasts: u64) -> Fault {
        Fault {
            at: Duration::from_secs(at),
            every: every.map(Duration::from_secs),
            lasts: Duration::from_secs(lasts),
            kind: FaultKind::Pause { target: Target::Any(Role::Store) },
        }
    }

    #[test]
    fn a_fault_is_repeated_as_long_as_it_is_over_before_the_load_is() {
        let begin = |faults: Vec<Fault>| -> Vec<(u32, u64)> {
            schedule(&scenario(faults), 1)
                .iter()
                .map(|fault| (fault.id, fault.at.as_secs()))
                .collect()
        };
        assert_eq!(begin(vec![pause(1, None, 9)]), [(1, 1)]);
        assert_eq!(begin(vec![pause(1, Some(3), 2)]), [(1, 1), (2, 4), (3, 7)]);
        assert_eq!(begin(vec![pause(1, Some(3), 2), pause(2, Some(4), 4)]).len(), 5);
        let both = begin(vec![pause(4, None, 1), pause(1, Some(6), 3)]);
        assert_eq!(both, [(1, 1), (2, 4), (3, 7)], "in the order of time");
    }

    #[test]
    fn surges_multiply_the_rates_of_the_phases_they_cut() {
        let surge = |at, lasts, factor| Fault {
            at: Duration::from_secs(at),
            every: None,
            lasts: Duration::from_secs(lasts),
            kind: FaultKind::Surge { factor, more: 0 },
        };
        let mut scenario = scenario(vec![surge(3, 4, 5), surge(6, 2, 2)]);
        let phase = |lasts, rate| LoadPhase {
            lasts: Duration::from_secs(lasts),
            rate: Rate::Constant(rate),
        };
        let piece = |(lasts, rate)| Piece::constant(Duration::from_secs(lasts), rate);
        scenario.load.phases = vec![phase(4, 10.0), phase(6, 20.0)];
        let expected = [(3, 10.0), (1, 50.0), (2, 100.0), (1, 200.0), (1, 40.0), (2, 20.0)];
        assert_eq!(rates(&scenario, 1), expected.map(piece));
        let more: Vec<FaultKind> = schedule(&scenario, 1).into_iter().map(|it| it.kind).collect();
        let surges = [(5, 280), (2, 40)];
        assert_eq!(more, surges.map(|(factor, more)| FaultKind::Surge { factor, more }));
        scenario.load.phases[0].rate = Rate::Ramp(10.0, 50.0);
        let ramp = rates(&scenario, 1);
        let second = Duration::from_secs(1);
        assert_eq!(ramp[0], Piece { lasts: 3 * second, from: 10.0, to: 40.0 });
        assert_eq!(ramp[1], Piece { lasts: second, from: 200.0, to: 250.0 });
        scenario.faults = Vec::new();
        assert_eq!(rates(&scenario, 1), scenario.load.pieces());
    }

    #[test]
    fn streams_of_faults_and_purposes_are_their_own() {
        use rand::RngCore;
        let first = |seed, fault, purpose| stream(seed, fault, purpose).next_u64();
        let all = [first(1, 1, "a"), first(1, 2, "a"), first(1, 1, "b"), first(2, 1, "a")];
        assert_eq!(all, [first(1, 1, "a"), first(1, 2, "a"), first(1, 1, "b"), first(2, 1, "a")]);
        assert!((1..4).all(|n| all[n] != all[0]), "{all:?}");
    }
}
