//! Fault episodes at random. Whole episodes are drawn, not packets: independent losses of five per
//! cent never make a partition.
//!
//! Swarm testing (Groce et al., ISSTA 2012): each seed enables a random subset of the kinds, so that
//! some runs have nothing but pauses and others nothing but cuts.

use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;
use scenarios::scenario::{Fault, FaultKind, RandomFaults, Role, Sides, Target};
use std::time::Duration;

/// The episodes of one seed, all of which end before the load does.
pub fn episodes(random: &mut ChaCha8Rng, wanted: &RandomFaults, load: Duration) -> Vec<Fault> {
    let mut kinds = wanted.kinds.clone();
    kinds.shuffle(random);
    kinds.truncate(random.random_range(1..=kinds.len().max(1)));
    let mut faults = Vec::new();
    let mut at = Duration::ZERO;
    loop {
        // Exponential gaps: episodes may overlap, as misfortunes do.
        let gap = -(1.0 - random.random::<f64>()).ln();
        at += wanted.every.mul_f64(gap);
        let lasts = random.random_range(wanted.lasts_min..=wanted.lasts_max);
        if at + lasts >= load {
            return faults;
        }
        if let Some(kind) = kinds.choose(random).and_then(|word| draw(random, word)) {
            faults.push(Fault { at, every: None, lasts, kind, line: 0 });
        }
    }
}

fn draw(random: &mut ChaCha8Rng, word: &str) -> Option<FaultKind> {
    const PROCESSES: [Role; 4] = [Role::Gateway, Role::Broker, Role::Store, Role::Notifier];
    let target = Target::Any(*PROCESSES.choose(random)?);
    Some(match word {
        "blip" => FaultKind::Blip { between: sides(random) },
        "cut" => FaultKind::Cut { between: sides(random), one_way: random.random_bool(0.3) },
        "flap" => {
            let [down, up] = [random.random_range(100..2_000), random.random_range(500..3_000)];
            let [down, up] = [down, up].map(Duration::from_millis);
            FaultKind::Flap { between: sides(random), down, up }
        }
        "slow_link" => {
            let latency_min = Duration::from_millis(random.random_range(20..200));
            let latency_max = latency_min * random.random_range(1..5);
            FaultKind::SlowLink { between: sides(random), latency_min, latency_max }
        }
        "kill" => FaultKind::Kill { target },
        "power_loss" => FaultKind::PowerLoss { target },
        "pause" => FaultKind::Pause { target },
        "skew" => {
            let offset_ms = random.random_range(-600_000..600_000);
            FaultKind::Skew { target, offset_ms, drift_ppm: random.random_range(-500..500) }
        }
        _ => return None,
    })
}

/// One node against all others, a whole role against a node of another, or two nodes; only roles that
/// talk to each other, so that a cut has something to drop.
fn sides(random: &mut ChaCha8Rng) -> Sides {
    const TALKING: [(Role, Role); 5] = [
        (Role::Clients, Role::Gateway),
        (Role::Gateway, Role::Broker),
        (Role::Gateway, Role::Store),
        (Role::Store, Role::Broker),
        (Role::Notifier, Role::Broker),
    ];
    let (mut a, mut b) = TALKING[random.random_range(0..TALKING.len())];
    if random.random_bool(0.5) {
        std::mem::swap(&mut a, &mut b);
    }
    match random.random_range(0..3_u8) {
        0 => Sides { from: vec![Target::Any(a)], to: Vec::new() },
        1 => Sides { from: vec![Target::Every(a)], to: vec![Target::Any(b)] },
        _ => Sides { from: vec![Target::Any(a)], to: vec![Target::Any(b)] },
    }
}
