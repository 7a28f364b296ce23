//! Fault episodes at random. Whole episodes are drawn, not packets: independent losses of five per
//! cent never make a partition.
//!
//! Swarm testing (Groce et al., ISSTA 2012): each seed enables a random subset of the kinds, so that
//! some runs have nothing but pauses and others nothing but cuts.

use super::named;
use crate::scenario::{FaultKind, RandomFaults, Role, Sides, Target};
use crate::value::word::FaultWord;
use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;
use settings::value::TextForm;
use std::time::Duration;

/// Roles that talk to each other, who connects first: elsewhere a cut has nothing to drop. Nodes of an engine are
/// not among them.
pub const TALKING: [(Role, Role); 7] = [
    (Role::Clients, Role::Gateway),
    (Role::Gateway, Role::Auth),
    (Role::Gateway, Role::Broker),
    (Role::Gateway, Role::Store),
    (Role::Store, Role::Broker),
    (Role::Notifier, Role::Broker),
    (Role::Notifier, Role::Clients),
];

/// The episodes of one seed: at least one, all of them between the lead and the end of the load. What an
/// episode is comes from a stream of its own.
pub fn episodes(
    seed: u64,
    wanted: &RandomFaults,
    load: Duration,
) -> Vec<(Duration, Duration, FaultKind)> {
    let mut random = named(seed, "episodes");
    let mut kinds = wanted.kinds.clone();
    // A seed that enabled only what spares all of them would have no episode.
    kinds.retain(|kind| {
        let spares = |kind: FaultWord| wanted.roles.iter().all(|role| kind.spares(*role).is_some());
        !FaultWord::from_text(kind).is_some_and(spares)
    });
    kinds.shuffle(&mut random);
    kinds.truncate(random.random_range(1..=kinds.len().max(1)));
    let latest = load.saturating_sub(wanted.lasts_min);
    let mut faults = Vec::new();
    let mut at = wanted.lead;
    for number in 1_u32.. {
        // Exponential gaps: episodes may overlap, as misfortunes do.
        let gap = -(1.0 - random.random::<f64>()).ln();
        at += wanted.every.mul_f64(gap);
        if at > latest {
            if !faults.is_empty() {
                break;
            }
            at = random.random_range(wanted.lead..=latest);
        }
        let mut own = named(seed, &format!("episode/{number}"));
        let lasts =
            own.random_range(wanted.lasts_min..=wanted.lasts_max).min(load.saturating_sub(at));
        let kind = kinds.choose(&mut own).and_then(|word| draw(&mut own, word, &wanted.roles));
        faults.extend(kind.map(|kind| (at, lasts, kind)));
    }
    faults
}

fn draw(random: &mut ChaCha8Rng, word: &str, roles: &[Role]) -> Option<FaultKind> {
    Some(match word {
        "blip" => FaultKind::Blip { between: sides(random, roles)? },
        "cut" => {
            FaultKind::Cut { between: sides(random, roles)?, one_way: random.random_bool(0.3) }
        }
        "flap" => {
            let [down, up] = [random.random_range(100..2_000), random.random_range(500..3_000)];
            let [down, up] = [down, up].map(Duration::from_millis);
            FaultKind::Flap { between: sides(random, roles)?, down, up }
        }
        "reset" => FaultKind::Reset { between: sides(random, roles)? },
        "corrupt" => FaultKind::Corrupt { between: checked_sides(random, roles)? },
        "slow_link" => {
            let latency_min = Duration::from_millis(random.random_range(20..200));
            let latency_max = latency_min * random.random_range(1..5);
            FaultKind::SlowLink { between: sides(random, roles)?, latency_min, latency_max }
        }
        "narrow_link" => {
            let kibibytes = random.random_range(4..64_u64);
            FaultKind::NarrowLink {
                between: sides(random, roles)?,
                bytes_per_second: kibibytes * 1_024,
            }
        }
        "kill" => FaultKind::Kill { target: possible(random, FaultWord::Kill, roles)? },
        "power_loss" => {
            FaultKind::PowerLoss { target: possible(random, FaultWord::PowerLoss, roles)? }
        }
        "drain" => FaultKind::Drain { target: possible(random, FaultWord::Drain, roles)? },
        "pause" => FaultKind::Pause { target: Target::Any(*roles.choose(random)?) },
        "full_disk" => {
            FaultKind::FullDisk { target: possible(random, FaultWord::FullDisk, roles)? }
        }
        "surge" => FaultKind::Surge { factor: random.random_range(2..9), more: 0 },
        "storm" => {
            let percent: u32 = random.random_range(10..=100);
            FaultKind::Storm { share: f64::from(percent) / 100.0, reconnects: 0 }
        }
        "hostile" => FaultKind::Hostile { attacks: random.random_range(5..=100) },
        "skew" => FaultKind::Skew {
            target: Target::Any(with_a_clock(random, roles)?),
            offset_ms: random.random_range(-600_000..600_000),
            drift_ppm: random.random_range(-500..500),
        },
        _ => return None,
    })
}

/// A node that reads its wall clock: on brokers, notifiers and client hosts nobody does, and a clock that
/// nobody reads cannot be wrong. If there are no others, one of these.
fn with_a_clock(random: &mut ChaCha8Rng, roles: &[Role]) -> Option<Role> {
    let reads = |role: &Role| matches!(role, Role::Gateway | Role::Store | Role::Auth);
    let readers: Vec<Role> = roles.iter().copied().filter(reads).collect();
    let others = || roles.iter().copied().filter(|role| FaultWord::Skew.spares(*role).is_none());
    let from = if readers.is_empty() { others().collect() } else { readers };
    from.choose(random).copied()
}

/// Any node of a role that such a fault can befall.
fn possible(random: &mut ChaCha8Rng, kind: FaultWord, roles: &[Role]) -> Option<Target> {
    let possible = |role: &Role| kind.spares(*role).is_none();
    let possible: Vec<Role> = roles.iter().copied().filter(possible).collect();
    possible.choose(random).copied().map(Target::Any)
}

/// One node against all others, a whole role against a node of another or against all of it, or two
/// nodes; of roles that talk to each other, at least one of which is wanted.
fn sides(random: &mut ChaCha8Rng, roles: &[Role]) -> Option<Sides> {
    let wanted = |(a, b): &&(Role, Role)| roles.contains(a) || roles.contains(b);
    let talking: Vec<_> = TALKING.iter().filter(wanted).copied().collect();
    let (mut a, mut b) = *talking.choose(random)?;
    if random.random_bool(0.5) {
        std::mem::swap(&mut a, &mut b);
    }
    let one = |role: Role, other: Role| match (role, other) {
        // The push provider is on the first of them.
        (Role::Clients, Role::Notifier) => Target::Node("clients-1".to_owned()),
        _ => Target::Any(role),
    };
    Some(match random.random_range(0..4_u8) {
        0 if roles.contains(&a) => Sides { from: vec![Target::Any(a)], to: Vec::new() },
        1 => Sides { from: vec![Target::Every(a)], to: vec![one(b, a)] },
        2 => Sides { from: vec![Target::Every(a)], to: vec![Target::Every(b)] },
        _ => Sides { from: vec![one(a, b)], to: vec![one(b, a)] },
    })
}

/// As [`sides`], of roles that talk over frames with checksums, and both of them said.
fn checked_sides(random: &mut ChaCha8Rng, roles: &[Role]) -> Option<Sides> {
    let wanted = |(a, b): &&(Role, Role)| {
        let checked = |role: &Role| FaultWord::Corrupt.spares(*role).is_none();
        checked(a) && checked(b) && (roles.contains(a) || roles.contains(b))
    };
    let talking: Vec<_> = TALKING.iter().filter(wanted).copied().collect();
    let (a, b) = *talking.choose(random)?;
    let side = |role, every: bool| if every { Target::Every(role) } else { Target::Any(role) };
    let [from, to] = [(a, random.random_bool(0.5)), (b, random.random_bool(0.5))];
    Some(Sides { from: vec![side(from.0, from.1)], to: vec![side(to.0, to.1)] })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const KINDS: [&str; 13] = [
        "blip",
        "cut",
        "flap",
        "reset",
        "corrupt",
        "slow_link",
        "narrow_link",
        "kill",
        "power_loss",
        "drain",
        "pause",
        "skew",
        "full_disk",
    ];

    fn wanted(roles: &[Role], every_ms: u64) -> RandomFaults {
        RandomFaults {
            lead: Duration::from_secs(5),
            every: Duration::from_millis(every_ms),
            lasts_min: Duration::from_millis(200),
            lasts_max: Duration::from_secs(8),
            kinds: KINDS.map(str::to_owned).to_vec(),
            roles: roles.to_vec(),
        }
    }

    fn drawn(roles: &[Role], every_ms: u64) -> Vec<(Duration, Duration, FaultKind)> {
        let load = Duration::from_secs(25);
        let of_seed = |seed| {
            let faults = episodes(seed, &wanted(roles, every_ms), load);
            assert!(!faults.is_empty(), "seed {seed} has no episode");
            faults
        };
        (0..300).flat_map(of_seed).collect()
    }

    #[test]
    fn every_kind_befalls_every_role_between_the_lead_and_the_end_of_the_load() {
        let faults = drawn(&Role::EVERYWHERE, 2_000);
        for (at, lasts, kind) in &faults {
            assert!(*at >= Duration::from_secs(5), "{kind:?}");
            assert!(*at + *lasts <= Duration::from_secs(25), "{kind:?}");
            assert!(*lasts >= Duration::from_millis(200), "{kind:?}");
        }
        let mut met: BTreeSet<(&str, Role)> = BTreeSet::new();
        for (_, _, kind) in &faults {
            match kind {
                FaultKind::Kill { target: Target::Any(role) }
                | FaultKind::PowerLoss { target: Target::Any(role) }
                | FaultKind::Drain { target: Target::Any(role) }
                | FaultKind::Pause { target: Target::Any(role) }
                | FaultKind::FullDisk { target: Target::Any(role) }
                | FaultKind::Skew { target: Target::Any(role), .. } => {
                    met.insert((kind.word(), *role));
                }
                FaultKind::Blip { between }
                | FaultKind::Cut { between, .. }
                | FaultKind::Flap { between, .. }
                | FaultKind::Reset { between }
                | FaultKind::Corrupt { between }
                | FaultKind::SlowLink { between, .. }
                | FaultKind::NarrowLink { between, .. } => {
                    for target in between.from.iter().chain(&between.to) {
                        if let Target::Any(role) | Target::Every(role) = target {
                            met.insert((kind.word(), *role));
                        }
                    }
                }
                other => panic!("{other:?} names a node"),
            }
        }
        let never = 3 + 3 + 3 + 2;
        assert_eq!(
            met.len(),
            KINDS.len() * Role::EVERYWHERE.len() - never,
            "clients neither die nor drain nor go dark, three roles read no clock, three write to no disk, and two do not check what they are told"
        );
        assert!(!met.contains(&("kill", Role::Clients)));
    }

    #[test]
    fn faults_of_one_role_befall_it_alone_however_rare_they_are() {
        for (_, _, kind) in drawn(&[Role::Notifier], 3_600_000) {
            let between = match &kind {
                FaultKind::Blip { between }
                | FaultKind::Cut { between, .. }
                | FaultKind::Flap { between, .. }
                | FaultKind::Reset { between }
                | FaultKind::Corrupt { between }
                | FaultKind::SlowLink { between, .. }
                | FaultKind::NarrowLink { between, .. } => between.clone(),
                FaultKind::Surge { .. } | FaultKind::Storm { .. } | FaultKind::Hostile { .. } => {
                    panic!("nobody has asked for it")
                }
                FaultKind::Kill { target }
                | FaultKind::PowerLoss { target }
                | FaultKind::Drain { target }
                | FaultKind::Pause { target }
                | FaultKind::Skew { target, .. }
                | FaultKind::FullDisk { target } => {
                    assert_eq!(*target, Target::Any(Role::Notifier));
                    continue;
                }
            };
            let is_notifier = |target: &Target| {
                [Target::Any(Role::Notifier), Target::Every(Role::Notifier)].contains(target)
            };
            assert!(between.from.iter().chain(&between.to).any(is_notifier), "{between:?}");
        }
    }
}
