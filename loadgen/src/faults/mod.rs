//! The faults of a scenario, as far as they can be done to real processes and the links between them.
//!
//! Clocks cannot be set and disks are not filled from outside: such faults are listed, and the run goes on
//! without them. Where all roles live in one process, every target is the whole cluster.

pub mod schedule;

use crate::journal::Journal;
use crate::links::{Reach, Unreachable};
use crate::run::Processes;
use scenarios::faults::{self, Injection, PlannedFault};
use scenarios::scenario::{FaultKind, Role, Scenario, Target};
use std::collections::BTreeSet;
use tokio::time::{Instant, sleep_until};
use verify::history::What;
use workload::recorder::Recorder;

/// What is done to processes or links.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RealFault {
    /// Killed, and started again afterwards.
    Kill,
    /// Asked to end, and started again afterwards.
    Drain,
    /// Stopped for a while.
    Pause,
    /// Links stall, are cut, slow or narrow, reset their streams, or change bytes.
    Links,
}

/// A fault of the schedule, and what it is in the real world.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    fault: PlannedFault,
    real: RealFault,
}

/// The faults of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FaultPlan {
    /// What is done to the cluster, in the order of time.
    pub faults: Vec<Planned>,
    /// What the users do by themselves; it only has to be told.
    pub of_users: Vec<PlannedFault>,
    /// What is not done, or less than in the simulator: one sentence each.
    pub notes: Vec<String>,
    /// The scenario has faults, and none of them is done: what it asks is not answered.
    pub doubt: Option<String>,
}

/// What can be done to the cluster of a run.
pub fn plan(scenario: &Scenario, seed: u64, reach: Reach) -> FaultPlan {
    let mut plan = FaultPlan::default();
    let (mut missing, mut notes) = (BTreeSet::new(), BTreeSet::new());
    let all = faults::schedule(scenario, seed);
    for fault in &all {
        if fault.kind.of_users().is_some() {
            plan.of_users.push(fault.clone());
            continue;
        }
        match real_fault(scenario, fault, reach) {
            Ok((real, note)) => {
                notes.extend(note);
                plan.faults.push(Planned { fault: fault.clone(), real });
            }
            Err(why) if fault.drawn => {
                missing.insert(format!("random {} ({why})", fault.kind.word()));
            }
            Err(why) => {
                missing.insert(format!("{} ({why})", fault.kind.word()));
            }
        }
    }
    let (done, all) = (plan.faults.len() + plan.of_users.len(), all.len());
    let missing: Vec<String> = missing.into_iter().collect();
    match (missing.is_empty(), done) {
        (true, _) => {}
        (false, 0) => {
            plan.doubt = Some(format!(
                "none of the scenario's faults can be injected: {}; --without-faults runs the load alone",
                missing.join(", ")
            ));
        }
        (false, done) => plan.notes.push(format!(
            "only {done} of the scenario's {all} faults can be injected, without {}",
            missing.join(", ")
        )),
    }
    plan.notes.extend(notes);
    plan
}

/// What a run will leave out of a scenario, as sentences: known before it begins.
pub fn not_done(scenario: &Scenario, seed: u64, reach: Reach) -> Vec<String> {
    let FaultPlan { notes, doubt, .. } = plan(scenario, seed, reach);
    doubt.into_iter().chain(notes).collect()
}

/// What a fault is in the real world, with a note where it is less or more than in the simulator.
fn real_fault(
    scenario: &Scenario,
    fault: &PlannedFault,
    reach: Reach,
) -> Result<(RealFault, Option<String>), String> {
    if let Some((possible, why)) = reach.of(scenario, &fault.kind) {
        return of_links(fault.kind.word(), possible, &why);
    }
    match reach.processes {
        None => return Err(Unreachable::Given.to_string()),
        Some(Processes::One) if fault.drawn => {
            return Err("it befalls single nodes, and all of them are one process".to_owned());
        }
        Some(_) => {}
    }
    let (target, real_fault, note) = match &fault.kind {
        FaultKind::Kill { target } => (target, RealFault::Kill, None),
        FaultKind::PowerLoss { target } => (
            target,
            RealFault::Kill,
            Some(
                "power_loss: the process is killed; what the operating system has cached is not lost",
            ),
        ),
        FaultKind::Drain { target } => (target, RealFault::Drain, None),
        FaultKind::Pause { target } => (target, RealFault::Pause, None),
        FaultKind::Skew { .. } => {
            return Err("clocks cannot be skewed on real machines".to_owned());
        }
        FaultKind::FullDisk { .. } => {
            return Err("the disk of a real machine is not filled".to_owned());
        }
        FaultKind::Surge { .. } | FaultKind::Storm { .. } | FaultKind::Hostile { .. } => {
            return Err("it befalls the users, not the cluster".to_owned());
        }
        FaultKind::Blip { .. }
        | FaultKind::Cut { .. }
        | FaultKind::Flap { .. }
        | FaultKind::Reset { .. }
        | FaultKind::Corrupt { .. }
        | FaultKind::SlowLink { .. }
        | FaultKind::NarrowLink { .. } => unreachable!("it has links"),
    };
    match target {
        Target::ClientOf(_) | Target::Any(Role::Clients) | Target::Every(Role::Clients) => {
            Err(OBSERVED.to_owned())
        }
        Target::Node(name) if name.starts_with(Role::Clients.word()) => Err(OBSERVED.to_owned()),
        _ => {
            let one = (reach.processes == Some(Processes::One)).then(|| {
                let word = fault.kind.word();
                format!(
                    "{word}: all nodes are one process (--one-process), and all of them are hit"
                )
            });
            Ok((real_fault, one.or_else(|| note.map(str::to_owned))))
        }
    }
}

const OBSERVED: &str = "clients run in the process that observes them";

/// A fault of links, so many of which can be hit, and others cannot for these reasons.
fn of_links(
    word: &str,
    possible: usize,
    why: &BTreeSet<Unreachable>,
) -> Result<(RealFault, Option<String>), String> {
    // What nobody talks over cannot be missed where something else is hit.
    let missed = why.iter().filter(|why| possible == 0 || **why != Unreachable::Silent);
    let missed: Vec<String> = missed.map(Unreachable::to_string).collect();
    match (possible, missed.is_empty()) {
        (0, _) => Err(missed.join("; ")),
        (_, true) => Ok((RealFault::Links, None)),
        (_, false) => {
            let note = format!("{word}: not all of its links are hit: {}", missed.join("; "));
            Ok((RealFault::Links, Some(note)))
        }
    }
}

/// Writes down when the users begin with what their plan has for a fault, and when they are done.
pub async fn tell_of_users(faults: Vec<PlannedFault>, load_began: Instant, journal: &Journal) {
    let began = faults.iter().map(|fault| (fault.at, true, fault));
    let mut changes: Vec<_> =
        began.chain(faults.iter().map(|fault| (fault.at + fault.lasts, false, fault))).collect();
    changes.sort_by_key(|(at, ..)| *at);
    for (at, begins, fault) in changes {
        sleep_until(load_began + at).await;
        let PlannedFault { id, at, lasts, kind, drawn } = fault.clone();
        journal.record(if begins {
            let word = kind.word().into();
            let target = kind.of_users().unwrap_or_default().into();
            let (nodes, links) = (Vec::new(), Vec::new());
            let injection = Injection { id, at, lasts, kind, drawn, nodes, links };
            let injected = Some(injection.recorded().into());
            What::FaultBegan { fault: id, kind: word, target, drawn, injected }
        } else {
            let effect = match kind {
                FaultKind::Surge { more: planned, .. }
                | FaultKind::Storm { reconnects: planned, .. } => planned,
                FaultKind::Hostile { attacks } => attacks.into(),
                _ => 0,
            };
            What::FaultEnded { fault: id, effect }
        });
    }
}

#[cfg(test)]
mod tests;
