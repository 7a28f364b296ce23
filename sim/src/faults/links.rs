//! The link board: what every fault wants of every link, and what turmoil is told.
//!
//! Faults overlap. Each one lays its claim on directed pairs of hosts; the strongest claim counts (cut
//! before hold), and only changes are told to turmoil, in an order that it supports: a held link is
//! released and a cut one repaired before it becomes something else.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What a fault does to the packets of a directed pair of hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Claim {
    /// They arrive late.
    Slow,
    /// They wait. Both directions.
    Hold,
    /// They vanish.
    Cut,
}

/// The board; clones are the same board.
#[derive(Clone, Default)]
pub struct LinkBoard(Arc<Shared>);

#[derive(Default)]
struct Shared {
    disturbed: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    names: BTreeMap<IpAddr, Arc<str>>,
    claims: Vec<Laid>,
    told: BTreeMap<(Arc<str>, Arc<str>), Told>,
}

struct Laid {
    fault: u32,
    claim: Claim,
    pairs: BTreeSet<(Arc<str>, Arc<str>)>,
    effect: u64,
}

/// What turmoil was told of an unordered pair (the smaller name first).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Told {
    #[default]
    Healthy,
    Held,
    Cut,
    CutForth,
    CutBack,
}

/// A directed pair of hosts.
pub type Pair = (Arc<str>, Arc<str>);

impl LinkBoard {
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
        let pairs = pairs.into_iter().filter(|(from, to)| from != to).collect();
        state.claims.push(Laid { fault, claim, pairs, effect: 0 });
        state.tell(sim);
        self.0.disturbed.store(true, Ordering::Relaxed);
    }

    /// A fault takes its claims back; how many writes and connects they affected.
    pub fn lift(&self, sim: &turmoil::Sim<'_>, fault: u32) -> u64 {
        let mut state = self.lock();
        let effect =
            state.claims.iter().filter(|laid| laid.fault == fault).map(|laid| laid.effect).sum();
        state.claims.retain(|laid| laid.fault != fault);
        state.tell(sim);
        self.0.disturbed.store(!state.claims.is_empty(), Ordering::Relaxed);
        effect
    }

    /// Whether any claim stands.
    pub fn is_disturbed(&self) -> bool {
        self.0.disturbed.load(Ordering::Relaxed)
    }

    /// Whether packets vanish in at least one direction.
    pub fn is_cut_either_way(&self, a: &Arc<str>, b: &Arc<str>) -> bool {
        self.is_disturbed() && {
            let state = self.lock();
            state.claim_on(a, b) == Some(Claim::Cut) || state.claim_on(b, a) == Some(Claim::Cut)
        }
    }

    /// A packet from one host to another meets the claims on that pair.
    pub fn affected(&self, from: &Arc<str>, to: &Arc<str>) {
        let pair = (from.clone(), to.clone());
        for laid in &mut self.lock().claims {
            if laid.pairs.contains(&pair) {
                laid.effect += 1;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn claim_on(&self, from: &Arc<str>, to: &Arc<str>) -> Option<Claim> {
        let pair = (from.clone(), to.clone());
        self.claims.iter().filter(|laid| laid.pairs.contains(&pair)).map(|laid| laid.claim).max()
    }

    fn wanted(&self, a: &Arc<str>, b: &Arc<str>) -> Told {
        match (self.claim_on(a, b), self.claim_on(b, a)) {
            (Some(Claim::Cut), Some(Claim::Cut)) => Told::Cut,
            (Some(Claim::Cut), _) => Told::CutForth,
            (_, Some(Claim::Cut)) => Told::CutBack,
            (Some(Claim::Hold), _) | (_, Some(Claim::Hold)) => Told::Held,
            _ => Told::Healthy,
        }
    }

    /// Tells turmoil what changed.
    fn tell(&mut self, sim: &turmoil::Sim<'_>) {
        let mut pairs: BTreeSet<(Arc<str>, Arc<str>)> = self.told.keys().cloned().collect();
        for (from, to) in self.claims.iter().flat_map(|laid| &laid.pairs) {
            let (a, b) = if from < to { (from, to) } else { (to, from) };
            pairs.insert((a.clone(), b.clone()));
        }
        for (a, b) in pairs {
            let wanted = self.wanted(&a, &b);
            let told = self.told.entry((a.clone(), b.clone())).or_default();
            if *told != wanted {
                change(sim, &a, &b, *told, wanted);
                *told = wanted;
            }
        }
    }
}

fn change(sim: &turmoil::Sim<'_>, a: &str, b: &str, told: Told, wanted: Told) {
    match told {
        Told::Healthy => {}
        Told::Held => sim.release(a, b),
        Told::Cut | Told::CutForth | Told::CutBack => sim.repair(a, b),
    }
    match wanted {
        Told::Healthy => {}
        Told::Held => sim.hold(a, b),
        Told::Cut => sim.partition(a, b),
        Told::CutForth => sim.partition_oneway(a, b),
        Told::CutBack => sim.partition_oneway(b, a),
    }
}

/// Sets the latency of all links between two sets of hosts.
pub fn set_latency(
    sim: &turmoil::Sim<'_>,
    pairs: impl IntoIterator<Item = Pair>,
    min: Duration,
    max: Duration,
) {
    for (from, to) in pairs {
        if from < to {
            sim.set_link_latency(&*from, &*to, min);
            sim.set_link_max_message_latency(&*from, &*to, max);
        }
    }
}
