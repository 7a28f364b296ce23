//! The link board: what turmoil is told of the claims that stand, in an order that it supports: a held link is
//! released and a cut one repaired before it becomes something else. Only changes are told.

use crate::machine::flow::Flow;
use ports::entered;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use scenarios::faults::claims::{Claim, Claims, Flip, Latency};
use scenarios::faults::target::Pair;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

/// The board; clones are the same board.
#[derive(Clone)]
pub struct LinkBoard(Arc<Shared>);

struct Shared {
    disturbed: AtomicBool,
    state: Mutex<State>,
}

struct State {
    names: BTreeMap<IpAddr, Arc<str>>,
    claims: Claims,
    at_rest: Latency,
    told: BTreeMap<Pair, Told>,
    /// Which bytes are flipped.
    flips: ChaCha8Rng,
    /// The streams of which something stands in line, by the direction that is narrow.
    waiting: BTreeMap<Pair, Vec<Weak<Flow>>>,
}

/// What turmoil was told of an unordered pair (the smaller name first).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Told {
    way: Way,
    latency: Latency,
}

/// Whether packets get through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Healthy,
    Held,
    Cut,
    CutForth,
    CutBack,
}

impl LinkBoard {
    /// A board without claims, of links with this latency, in a run of this seed.
    pub fn new(at_rest: Latency, seed: u64) -> Self {
        let claims = Claims::default();
        let (names, told, waiting) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let flips = crate::seed::stream(seed, "flips");
        let state = State { names, claims, at_rest, told, flips, waiting };
        Self(Arc::new(Shared { disturbed: AtomicBool::new(false), state: Mutex::new(state) }))
    }

    /// Learns the name of an address.
    pub fn register(&self, address: IpAddr, name: &str) {
        self.lock().names.insert(address, name.into());
    }

    /// The name of an address.
    pub fn name_of(&self, address: IpAddr) -> Arc<str> {
        self.lock().names.get(&address).cloned().unwrap_or_else(|| address.to_string().into())
    }

    /// A fault lays a claim on directed pairs.
    pub fn lay(
        &self,
        sim: &turmoil::Sim<'_>,
        fault: u32,
        claim: Claim,
        pairs: impl IntoIterator<Item = Pair>,
    ) {
        let mut state = self.lock();
        state.claims.lay(fault, claim, pairs);
        state.tell(sim);
        self.0.disturbed.store(true, Ordering::Relaxed);
    }

    /// A fault takes its claims back; how many writes and connects they affected, or bytes stood in line or were
    /// flipped. What stands before a link that is not narrow any more gets through at once.
    pub fn lift(&self, sim: &turmoil::Sim<'_>, fault: u32) -> u64 {
        let mut state = self.lock();
        let effect = state.claims.lift(fault);
        state.tell(sim);
        state.let_pass();
        self.0.disturbed.store(!state.claims.is_empty(), Ordering::Relaxed);
        effect
    }

    /// Whether any claim stands.
    pub fn is_disturbed(&self) -> bool {
        self.0.disturbed.load(Ordering::Relaxed)
    }

    /// Somebody writes onto a stream: it meets the claims on that direction. Whether the stream is reset.
    pub fn writes(&self, from: &Arc<str>, to: &Arc<str>) -> bool {
        self.is_disturbed() && {
            let pair = (from.clone(), to.clone());
            let claims = &mut self.lock().claims;
            claims.meet(&[&pair]);
            claims.on(&pair) == Some(Claim::Reset)
        }
    }

    /// So many bytes are about to be written onto a stream: which of them arrives as another one.
    pub fn flip(&self, from: &Arc<str>, to: &Arc<str>, bytes: usize) -> Option<Flip> {
        if !self.is_disturbed() {
            return None;
        }
        let State { claims, flips, .. } = &mut *self.lock();
        claims.flip(&(from.clone(), to.clone()), bytes, |bound| flips.random_range(0..bound))
    }

    /// It was written.
    pub fn flipped(&self, from: &Arc<str>, to: &Arc<str>) {
        self.lock().claims.flipped(&(from.clone(), to.clone()));
    }

    /// So many bytes were written onto a stream: before a narrow link, they stand in line.
    pub fn wrote(&self, from: &Arc<str>, to: &Arc<str>, bytes: usize, flow: &Arc<Flow>) {
        if !self.is_disturbed() {
            return;
        }
        let pair = (from.clone(), to.clone());
        let mut state = self.lock();
        let now = turmoil::sim_elapsed().unwrap_or_default();
        let parts = state.claims.line_up(&pair, bytes, now);
        if parts.is_empty() {
            return;
        }
        flow.wait(&parts);
        let waiting = state.waiting.entry(pair).or_default();
        waiting.retain(|known| known.strong_count() > 0);
        if !waiting.iter().any(|known| std::ptr::eq(known.as_ptr(), &raw const **flow)) {
            waiting.push(Arc::downgrade(flow));
        }
    }

    /// Somebody connects, which takes packets in both directions: it meets the claims on both. Whether
    /// any of them vanish.
    pub fn connects(&self, from: &Arc<str>, to: &Arc<str>) -> bool {
        self.is_disturbed() && {
            let [there, back] = [(from.clone(), to.clone()), (to.clone(), from.clone())];
            let claims = &mut self.lock().claims;
            claims.meet(&[&there, &back]);
            [&there, &back].map(|pair| claims.on(pair)).contains(&Some(Claim::Cut))
        }
    }

    /// Whether packets between two hosts vanish or wait, in either direction.
    pub fn is_apart(&self, a: &Arc<str>, b: &Arc<str>) -> bool {
        self.is_disturbed() && {
            let claims = &self.lock().claims;
            let pairs = [(a.clone(), b.clone()), (b.clone(), a.clone())];
            pairs.iter().filter_map(|pair| claims.on(pair)).any(|claim| claim >= Claim::Hold)
        }
    }

    /// How long a packet and its answer take between two hosts.
    pub fn round_trip(&self, a: &Arc<str>, b: &Arc<str>) -> Duration {
        let Latency { min, max } = self.lock().wanted(a, b).latency;
        min + max
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        entered(self.0.state.lock())
    }
}

impl State {
    fn wanted(&self, a: &Arc<str>, b: &Arc<str>) -> Told {
        let [there, back] = [(a.clone(), b.clone()), (b.clone(), a.clone())];
        let way = match (self.claims.on(&there), self.claims.on(&back)) {
            (Some(Claim::Cut), Some(Claim::Cut)) => Way::Cut,
            (Some(Claim::Cut), _) => Way::CutForth,
            (_, Some(Claim::Cut)) => Way::CutBack,
            (Some(Claim::Hold), _) | (_, Some(Claim::Hold)) => Way::Held,
            _ => Way::Healthy,
        };
        let slow = self.claims.latency(&there).max(self.claims.latency(&back));
        Told { way, latency: slow.unwrap_or(self.at_rest) }
    }

    fn let_pass(&mut self) {
        let Self { claims, waiting, .. } = self;
        waiting.retain(|pair, flows| {
            let is_narrow = claims.is_narrow(pair);
            if !is_narrow {
                flows.iter().filter_map(Weak::upgrade).for_each(|flow| flow.pass_all());
            }
            is_narrow
        });
    }

    /// Tells turmoil what changed.
    fn tell(&mut self, sim: &turmoil::Sim<'_>) {
        let mut pairs: BTreeSet<Pair> = self.told.keys().cloned().collect();
        for (from, to) in self.claims.pairs() {
            let (a, b) = if from < to { (from, to) } else { (to, from) };
            pairs.insert((a.clone(), b.clone()));
        }
        for (a, b) in pairs {
            let wanted = self.wanted(&a, &b);
            let rest = Told { way: Way::Healthy, latency: self.at_rest };
            let told = self.told.entry((a.clone(), b.clone())).or_insert(rest);
            if told.way != wanted.way {
                change(sim, &a, &b, told.way, wanted.way);
            }
            if told.latency != wanted.latency {
                sim.set_link_latency(&*a, &*b, wanted.latency.min);
                sim.set_link_max_message_latency(&*a, &*b, wanted.latency.max);
            }
            *told = wanted;
        }
    }
}

fn change(sim: &turmoil::Sim<'_>, a: &str, b: &str, told: Way, wanted: Way) {
    match told {
        Way::Healthy => {}
        Way::Held => sim.release(a, b),
        Way::Cut | Way::CutForth | Way::CutBack => sim.repair(a, b),
    }
    match wanted {
        Way::Healthy => {}
        Way::Held => sim.hold(a, b),
        Way::Cut => sim.partition(a, b),
        Way::CutForth => sim.partition_oneway(a, b),
        Way::CutBack => sim.partition_oneway(b, a),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn board() -> (turmoil::Sim<'static>, LinkBoard) {
        let mut sim = turmoil::Builder::new().build();
        for host in ["a", "b"] {
            sim.host(host, std::future::pending);
        }
        (sim, LinkBoard::new(Latency { max: ms(2), min: ms(1) }, 1))
    }

    fn pair(from: &str, to: &str) -> [Pair; 1] {
        [(from.into(), to.into())]
    }

    fn latency(board: &LinkBoard) -> Duration {
        board.lock().told[&pair("a", "b")[0]].latency.max
    }

    #[test]
    fn the_second_of_two_overlapping_one_way_cuts_is_met_by_connects_from_either_side() {
        let (sim, board) = board();
        let (a, b) = ("a".into(), "b".into());
        board.lay(&sim, 1, Claim::Cut, pair("a", "b"));
        board.lay(&sim, 2, Claim::Cut, pair("b", "a"));
        assert!(board.connects(&a, &b), "nothing passes");
        assert!(board.is_apart(&a, &b) && board.is_apart(&b, &a));
        assert!(!board.writes(&a, &b));
        assert_eq!([1, 2].map(|fault| board.lift(&sim, fault)), [2, 1]);
        assert!(!board.connects(&a, &b) && !board.is_disturbed());
    }

    #[test]
    fn whatever_is_written_resets_its_stream_unless_it_does_not_get_there() {
        let (sim, board) = board();
        let (a, b) = ("a".into(), "b".into());
        board.lay(&sim, 1, Claim::Reset, pair("a", "b"));
        assert!(board.writes(&a, &b) && !board.writes(&b, &a));
        assert!(!board.connects(&a, &b) && !board.is_apart(&a, &b));
        board.lay(&sim, 2, Claim::Cut, pair("a", "b"));
        assert!(!board.writes(&a, &b), "it vanishes");
        assert_eq!([1, 2].map(|fault| board.lift(&sim, fault)), [3, 1]);
    }

    #[test]
    fn the_seed_decides_which_byte_is_flipped_and_only_what_is_written_counts() {
        let (a, b) = ("a".into(), "b".into());
        let flips = || {
            let (sim, board) = board();
            board.lay(&sim, 1, Claim::Corrupt, pair("a", "b"));
            let flips: Vec<Flip> = (0..9).filter_map(|_| board.flip(&a, &b, 1_000)).collect();
            assert_eq!(board.flip(&b, &a, 1_000), None);
            board.flipped(&a, &b);
            assert_eq!(board.lift(&sim, 1), 1);
            flips
        };
        assert_eq!((flips(), flips().len()), (flips(), 9));
    }

    #[test]
    fn what_stands_in_line_has_passed_when_the_last_narrow_link_is_wide_again() {
        let (sim, board) = board();
        let (a, b) = ("a".into(), "b".into());
        board.lay(&sim, 1, Claim::Narrow(1_000), pair("a", "b"));
        board.lay(&sim, 2, Claim::Narrow(10_000), pair("a", "b"));
        let (forth, back) = (Arc::new(Flow::default()), Arc::new(Flow::default()));
        for (from, to, flow) in [(&a, &b, &forth), (&b, &a, &back)] {
            assert!(!board.writes(from, to));
            flow.wrote(2_000);
            board.wrote(from, to, 2_000, flow);
        }
        let narrow = Err(ms(1_500));
        assert_eq!((forth.passed(ms(0)), back.passed(ms(0))), (narrow, Ok(usize::MAX)));
        assert_eq!(board.lift(&sim, 1), 500, "all but a packet");
        assert_eq!(forth.passed(ms(0)), narrow, "the other one is still there");
        assert_eq!(board.lift(&sim, 2), 500);
        assert_eq!(forth.passed(ms(0)), Ok(usize::MAX));
    }

    #[test]
    fn the_slower_of_two_overlapping_latencies_counts_until_its_end() {
        let (sim, board) = board();
        let slow = |max| Claim::Slow(Latency { max: ms(max), min: ms(10) });
        board.lay(&sim, 1, slow(50), pair("a", "b"));
        board.lay(&sim, 2, slow(200), pair("b", "a"));
        assert_eq!(latency(&board), ms(200));
        board.lay(&sim, 3, slow(100), pair("a", "b"));
        board.lift(&sim, 2);
        assert_eq!(latency(&board), ms(100), "the end of one does not end the others");
        board.lift(&sim, 3);
        board.lift(&sim, 1);
        assert_eq!(latency(&board), ms(2));
    }
}
