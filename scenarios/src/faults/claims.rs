//! What the faults of links want of every link: the same in both worlds.
//!
//! Faults overlap. Each one lays its claim on directed pairs of hosts, and the strongest claim counts: cut
//! before hold, hold before reset, reset before slow, the slower latency before the other.
//!
//! A claim's effect is what met it: every write onto a stream of the pair, and every connect, which needs both
//! directions. Both count while a stronger claim stands, too: the packet would not have got through this one
//! either.

use super::target::Pair;
use crate::scenario::FaultKind;
use std::collections::BTreeSet;
use std::time::Duration;

/// What a fault does to the packets of a directed pair of hosts, the stronger claim last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Claim {
    /// They arrive late. Both directions.
    Slow(Latency),
    /// The first one ends its stream for both ends, and what was under way is lost. Both directions.
    Reset,
    /// They wait. Both directions.
    Hold,
    /// They vanish.
    Cut,
}

/// How late packets arrive; the slower latency is the greater one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Latency {
    /// At the latest.
    pub max: Duration,
    /// At the earliest.
    pub min: Duration,
}

/// The claims that stand.
#[derive(Clone, Debug, Default)]
pub struct Claims(Vec<Laid>);

#[derive(Clone, Debug)]
struct Laid {
    fault: u32,
    claim: Claim,
    pairs: BTreeSet<Pair>,
    effect: u64,
}

/// What a fault of links claims, and on which directed pairs, if it hits these; nothing for any other fault.
///
/// - `blip`: links stall, then heal. TCP survives it: what was under way arrives late, nothing is lost.
/// - `cut`: a partition, two-way or one-way. Packets vanish; streams across it are dead for ever, without a
///   word, also after it has healed (as when both ends' retransmissions have run out).
/// - `flap`: links are cut and healed again and again; this is while they are down.
/// - `reset`: whatever is said on a stream ends it, as a middlebox does that has forgotten the stream: both ends
///   get a reset. A new one can be made at once, and lasts until something is said on it.
/// - `slow_link`: links with another latency distribution.
pub fn claimed(kind: &FaultKind, hit: &[Pair]) -> Option<(Claim, Vec<Pair>)> {
    let both = || both_ways(hit).collect();
    Some(match kind {
        FaultKind::Blip { .. } => (Claim::Hold, both()),
        FaultKind::Cut { one_way: true, .. } => (Claim::Cut, hit.to_vec()),
        FaultKind::Cut { .. } | FaultKind::Flap { .. } => (Claim::Cut, both()),
        FaultKind::Reset { .. } => (Claim::Reset, both()),
        FaultKind::SlowLink { latency_min, latency_max, .. } => {
            (Claim::Slow(Latency { max: *latency_max, min: *latency_min }), both())
        }
        FaultKind::Kill { .. }
        | FaultKind::PowerLoss { .. }
        | FaultKind::Drain { .. }
        | FaultKind::Pause { .. }
        | FaultKind::Skew { .. }
        | FaultKind::FullDisk { .. }
        | FaultKind::Surge { .. } => return None,
    })
}

/// Directed pairs in both directions.
fn both_ways(pairs: &[Pair]) -> impl Iterator<Item = Pair> {
    let back = pairs.iter().map(|(from, to)| (to.clone(), from.clone()));
    pairs.iter().cloned().chain(back)
}

impl Claims {
    /// A fault lays a claim on directed pairs.
    pub fn lay(&mut self, fault: u32, claim: Claim, pairs: impl IntoIterator<Item = Pair>) {
        let pairs = pairs.into_iter().filter(|(from, to)| from != to).collect();
        self.0.push(Laid { fault, claim, pairs, effect: 0 });
    }

    /// A fault takes its claims back; how many writes and connects met them.
    pub fn lift(&mut self, fault: u32) -> u64 {
        let own = self.0.iter().filter(|laid| laid.fault == fault);
        let effect = own.map(|laid| laid.effect).sum();
        self.0.retain(|laid| laid.fault != fault);
        effect
    }

    /// Whether none stands.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All pairs with a claim.
    pub fn pairs(&self) -> impl Iterator<Item = &Pair> {
        self.0.iter().flat_map(|laid| &laid.pairs)
    }

    /// The strongest claim on a pair.
    pub fn on(&self, pair: &Pair) -> Option<Claim> {
        self.of(pair).max()
    }

    /// The slowest latency that is claimed on a pair, whatever else is.
    pub fn latency(&self, pair: &Pair) -> Option<Latency> {
        let slow = self.of(pair).filter_map(|claim| match claim {
            Claim::Slow(latency) => Some(latency),
            Claim::Reset | Claim::Hold | Claim::Cut => None,
        });
        slow.max()
    }

    /// Counts a packet for every claim that stands on one of these directions.
    pub fn meet(&mut self, directions: &[&Pair]) {
        for laid in &mut self.0 {
            laid.effect += u64::from(directions.iter().any(|pair| laid.pairs.contains(*pair)));
        }
    }

    fn of(&self, pair: &Pair) -> impl Iterator<Item = Claim> {
        self.0.iter().filter(|laid| laid.pairs.contains(pair)).map(|laid| laid.claim)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Sides, Target};

    const fn between() -> Sides {
        Sides { from: Vec::new(), to: Vec::new() }
    }

    fn pair(from: &str, to: &str) -> Pair {
        (from.into(), to.into())
    }

    #[test]
    fn the_strongest_claim_counts_and_all_that_stand_are_met() {
        let (there, back) = (pair("a", "b"), pair("b", "a"));
        let ms = Duration::from_millis;
        let slow = |max| FaultKind::SlowLink {
            between: between(),
            latency_min: ms(10),
            latency_max: ms(max),
        };
        let mut claims = Claims::default();
        let mut lay = |fault, kind, hit: &Pair| {
            let (claim, pairs) = claimed(&kind, std::slice::from_ref(hit)).expect("of links");
            claims.lay(fault, claim, pairs);
        };
        lay(1, slow(50), &there);
        lay(2, slow(200), &back);
        lay(5, FaultKind::Reset { between: between() }, &there);
        lay(3, FaultKind::Blip { between: between() }, &there);
        lay(4, FaultKind::Cut { between: between(), one_way: true }, &there);
        assert_eq!((claims.on(&there), claims.on(&back)), (Some(Claim::Cut), Some(Claim::Hold)));
        assert_eq!(claims.latency(&there).map(|latency| latency.max), Some(ms(200)));
        claims.meet(&[&back]);
        claims.meet(&[&there, &back]);
        assert_eq!([1, 2, 3, 4].map(|fault| claims.lift(fault)), [2, 2, 2, 1]);
        assert_eq!(claims.on(&there), Some(Claim::Reset));
        assert_eq!(claims.lift(5), 2);
        assert!(claims.is_empty());
        assert_eq!(claims.on(&there), None);
        let pause = FaultKind::Pause { target: Target::Node("a".into()) };
        assert_eq!(claimed(&pause, &[there]), None);
    }
}
