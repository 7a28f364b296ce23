//! What the faults of links want of every link: the same in both worlds.
//!
//! Faults overlap. Each one lays its claim on directed pairs of hosts, and the strongest claim counts: cut
//! before hold, hold before reset, reset before corrupt, corrupt before narrow and slow, and the longer latency before
//! the shorter. A link that is slow and narrow is both: its packets arrive when they are through both the line and the way, which pass at
//! the same time.
//!
//! A claim's effect is what met it: every write onto a stream of the pair, and every connect, which needs both
//! directions. Both count while a stronger claim stands, too: the packet would not have got through this one
//! either. That of a narrow link is the bytes that stood in line, that of `corrupt` the flipped ones.

use super::line::{Line, Part};
use super::target::Pair;
use crate::scenario::FaultKind;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What a fault does to the packets of a directed pair of hosts, the stronger claim last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Claim {
    /// They arrive late. Both directions.
    Slow(Latency),
    /// So many bytes pass in a second, in order; the rest waits. Each direction by itself.
    Narrow(u64),
    /// One of their bytes is another one. Both directions.
    Corrupt,
    /// The first one ends its stream for both ends, and what was under way is lost. Both directions.
    Reset,
    /// They wait. Both directions.
    Hold,
    /// They vanish.
    Cut,
}

/// A byte that arrives as another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flip {
    /// Which one of those that are written.
    pub at: usize,
    /// Its bits that are flipped; at least one.
    pub bits: u8,
}

impl Flip {
    /// Does it.
    pub fn apply(self, bytes: &mut [u8]) {
        bytes[self.at] ^= self.bits;
    }
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
    /// What stands before a narrow link.
    lines: BTreeMap<Pair, Line>,
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
/// - `corrupt`: a byte of whatever is written onto a stream arrives as another one, as from a router with bad
///   memory: the checksum of TCP has been computed anew. Only links of which each frame carries a checksum.
/// - `slow_link`: links with another latency distribution.
/// - `narrow_link`: so many bytes pass each way in a second; what two hosts say to each other on all of their
///   streams shares it, and stands in one line. Nothing is lost.
pub fn claimed(kind: &FaultKind, hit: &[Pair]) -> Option<(Claim, Vec<Pair>)> {
    let both = || both_ways(hit).collect();
    Some(match kind {
        FaultKind::Blip { .. } => (Claim::Hold, both()),
        FaultKind::Cut { one_way: true, .. } => (Claim::Cut, hit.to_vec()),
        FaultKind::Cut { .. } | FaultKind::Flap { .. } => (Claim::Cut, both()),
        FaultKind::Reset { .. } => (Claim::Reset, both()),
        FaultKind::Corrupt { .. } => (Claim::Corrupt, both()),
        FaultKind::SlowLink { latency_min, latency_max, .. } => {
            (Claim::Slow(Latency { max: *latency_max, min: *latency_min }), both())
        }
        FaultKind::NarrowLink { bytes_per_second, .. } => {
            (Claim::Narrow(*bytes_per_second), both())
        }
        FaultKind::Kill { .. }
        | FaultKind::PowerLoss { .. }
        | FaultKind::Drain { .. }
        | FaultKind::Pause { .. }
        | FaultKind::Skew { .. }
        | FaultKind::FullDisk { .. }
        | FaultKind::Surge { .. }
        | FaultKind::Storm { .. }
        | FaultKind::Hostile { .. } => return None,
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
        self.0.push(Laid { fault, claim, pairs, lines: BTreeMap::new(), effect: 0 });
    }

    /// A fault takes its claims back; how many writes and connects met them, or bytes stood in line or
    /// were flipped.
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
            Claim::Narrow(_) | Claim::Corrupt | Claim::Reset | Claim::Hold | Claim::Cut => None,
        });
        slow.max()
    }

    /// Counts a packet for every claim that stands on one of these directions.
    pub fn meet(&mut self, directions: &[&Pair]) {
        let of_bytes = |claim| matches!(claim, Claim::Narrow(_) | Claim::Corrupt);
        for laid in self.0.iter_mut().filter(|laid| !of_bytes(laid.claim)) {
            laid.effect += u64::from(directions.iter().any(|pair| laid.pairs.contains(*pair)));
        }
    }

    /// What becomes of so many bytes that are written onto a stream of a pair. `below` draws a number below
    /// another one.
    pub fn flip(
        &self,
        pair: &Pair,
        bytes: usize,
        mut below: impl FnMut(u64) -> u64,
    ) -> Option<Flip> {
        let is_corrupt = bytes > 0 && self.of(pair).any(|claim| claim == Claim::Corrupt);
        is_corrupt.then(|| Flip { at: below(bytes as u64) as usize, bits: below(255) as u8 + 1 })
    }

    /// It was done.
    pub fn flipped(&mut self, pair: &Pair) {
        for laid in self.0.iter_mut().filter(|laid| laid.claim == Claim::Corrupt) {
            laid.effect += u64::from(laid.pairs.contains(pair));
        }
    }

    /// Whether a pair's link is narrow.
    pub fn is_narrow(&self, pair: &Pair) -> bool {
        self.of(pair).any(|claim| matches!(claim, Claim::Narrow(_)))
    }

    /// So many bytes are written onto a stream of a pair: which of them have passed a narrow link when, in their
    /// order; nothing if none is. Of several that are narrow, the one with the longest wait decides.
    pub fn line_up(&mut self, pair: &Pair, bytes: usize, now: Duration) -> Vec<Part> {
        let mut parts: Vec<Part> = Vec::new();
        for laid in self.0.iter_mut().filter(|laid| laid.pairs.contains(pair)) {
            let Claim::Narrow(bytes_per_second) = laid.claim else { continue };
            let line = laid.lines.entry(pair.clone()).or_default();
            let (own, waited) = line.join(bytes, bytes_per_second, now);
            laid.effect += waited;
            if parts.is_empty() {
                parts = own;
            } else {
                for (part, own) in parts.iter_mut().zip(own) {
                    part.passes_at = part.passes_at.max(own.passes_at);
                }
            }
        }
        parts
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

    #[test]
    fn one_byte_of_what_is_written_is_another_one() {
        let (there, other) = (pair("a", "b"), pair("b", "c"));
        let mut claims = Claims::default();
        let kind = FaultKind::Corrupt { between: between() };
        let (claim, pairs) = claimed(&kind, std::slice::from_ref(&there)).expect("of links");
        claims.lay(1, claim, pairs);
        claims.meet(&[&there]);
        let flip = claims.flip(&there, 3, |bound| bound - 1).expect("it is corrupt");
        assert_eq!(flip, Flip { at: 2, bits: 255 });
        let mut bytes = *b"abc";
        flip.apply(&mut bytes);
        assert_eq!(bytes, [b'a', b'b', !b'c']);
        claims.flipped(&there);
        claims.flipped(&other);
        assert_eq!(claims.flip(&other, 3, |_| 0), None);
        assert_eq!(claims.flip(&there, 0, |_| 0), None, "there is none");
        assert_eq!(claims.lift(1), 1, "a byte, no writes");
    }

    #[test]
    fn a_narrow_link_has_a_line_each_way_and_the_narrower_one_decides() {
        let (there, back) = (pair("a", "b"), pair("b", "a"));
        let mut claims = Claims::default();
        let mut lay = |fault, bytes_per_second| {
            let kind = FaultKind::NarrowLink { between: between(), bytes_per_second };
            let (claim, pairs) = claimed(&kind, std::slice::from_ref(&there)).expect("of links");
            claims.lay(fault, claim, pairs);
        };
        lay(1, 10_000);
        lay(2, 1_000);
        let second = Duration::from_secs(1);
        let mut last = |pair, bytes| {
            let parts = claims.line_up(pair, bytes, second);
            parts.last().expect("it is narrow").passes_at
        };
        assert_eq!(last(&there, 1_000), 2 * second);
        assert_eq!(last(&there, 500), Duration::from_millis(2_500), "behind the others");
        assert_eq!(last(&back, 500), Duration::from_millis(1_500), "nobody is before them");
        claims.meet(&[&there]);
        assert!(claims.is_narrow(&back));
        assert_eq!([1, 2].map(|fault| claims.lift(fault)), [500, 500], "bytes, no writes");
        assert!(claims.line_up(&there, 500, second).is_empty() && !claims.is_narrow(&there));
    }
}
