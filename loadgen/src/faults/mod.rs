//! The faults of a scenario, as far as they can be done to real processes.
//!
//! Links cannot be cut and clocks cannot be set from outside: such faults are listed, and the run goes on
//! without them. Where all roles live in one process, every target is the whole cluster.

pub mod schedule;

use crate::journal::Journal;
use crate::run::Processes;
use scenarios::faults::{self, Injection, PlannedFault};
use scenarios::scenario::{FaultKind, Role, Scenario, Target};
use std::collections::BTreeSet;
use tokio::time::{Instant, sleep_until};
use verify::history::What;
use workload::recorder::Recorder;

/// What is done to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RealFault {
    /// Killed, and started again afterwards.
    Kill,
    /// Asked to end, and started again afterwards.
    Drain,
    /// Stopped for a while.
    Pause,
}

/// A fault of the schedule, and what it is to a process.
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
    pub surges: Vec<PlannedFault>,
    /// What is not done, or less than in the simulator: one sentence each.
    pub notes: Vec<String>,
    /// The scenario has faults, and none of them is done: what it asks is not answered.
    pub doubt: Option<String>,
}

/// What can be done to the cluster of a run; `processes`: what it is made of, if it is our own.
pub fn plan(scenario: &Scenario, seed: u64, processes: Option<Processes>) -> FaultPlan {
    let mut plan = FaultPlan::default();
    let (mut missing, mut notes) = (BTreeSet::new(), BTreeSet::new());
    let all = faults::schedule(scenario, seed);
    for fault in &all {
        if fault.kind.of_users().is_some() {
            plan.surges.push(fault.clone());
            continue;
        }
        match real_fault(fault, processes) {
            Ok((real, note)) => {
                notes.extend(note.map(str::to_owned));
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
    let (done, all) = (plan.faults.len() + plan.surges.len(), all.len());
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
pub fn not_done(scenario: &Scenario, seed: u64, processes: Option<Processes>) -> Vec<String> {
    let FaultPlan { notes, doubt, .. } = plan(scenario, seed, processes);
    doubt.into_iter().chain(notes).collect()
}

/// What a fault is to a process, with a note where it is less or more than in the simulator.
fn real_fault(
    fault: &PlannedFault,
    processes: Option<Processes>,
) -> Result<(RealFault, Option<&'static str>), &'static str> {
    match processes {
        None => return Err("the cluster was given with --target"),
        Some(Processes::One) if fault.drawn => {
            return Err("it befalls single nodes, and all of them are one process");
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
        FaultKind::Blip { .. }
        | FaultKind::Cut { .. }
        | FaultKind::Flap { .. }
        | FaultKind::SlowLink { .. } => {
            return Err("links cannot be broken on real sockets");
        }
        FaultKind::Skew { .. } => {
            return Err("clocks cannot be skewed on real machines");
        }
        FaultKind::FullDisk { .. } => {
            return Err("the disk of a real machine is not filled");
        }
        FaultKind::Surge { .. } => return Err("it befalls the users, not the cluster"),
    };
    match target {
        Target::ClientOf(_) | Target::Any(Role::Clients) | Target::Every(Role::Clients) => {
            Err("clients run in the process that observes them")
        }
        Target::Node(name) if name.starts_with("clients") => {
            Err("clients run in the process that observes them")
        }
        _ => Ok((real_fault, note)),
    }
}

/// Writes down when the users do more, and when no longer.
pub async fn tell_surges(surges: Vec<PlannedFault>, load_began: Instant, journal: &Journal) {
    let began = surges.iter().map(|surge| (surge.at, true, surge));
    let mut changes: Vec<_> =
        began.chain(surges.iter().map(|surge| (surge.at + surge.lasts, false, surge))).collect();
    changes.sort_by_key(|(at, ..)| *at);
    for (at, begins, surge) in changes {
        sleep_until(load_began + at).await;
        let PlannedFault { id, at, lasts, kind, drawn } = surge.clone();
        journal.record(if begins {
            let word = kind.word().into();
            let target = kind.of_users().unwrap_or_default().into();
            let (nodes, links) = (Vec::new(), Vec::new());
            let injection = Injection { id, at, lasts, kind, drawn, nodes, links };
            let injected = Some(injection.recorded().into());
            What::FaultBegan { fault: id, kind: word, target, drawn, injected }
        } else {
            let more = if let FaultKind::Surge { more, .. } = kind { more } else { 0 };
            What::FaultEnded { fault: id, effect: more }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Engines;
    use scenarios::scenario::{Fault, RandomFaults, Sides};
    use std::time::Duration;

    const OWN: Option<Processes> = Some(Processes::EachNode(Engines::NONE));

    fn fault(at: u64, every: Option<u64>, kind: FaultKind) -> Fault {
        Fault {
            at: Duration::from_secs(at),
            every: every.map(Duration::from_secs),
            lasts: Duration::from_secs(1),
            kind,
        }
    }

    #[test]
    fn what_cannot_be_done_is_said() {
        let mut scenario = crate::fixture::scenario(10, 5, 1);
        let store = || Target::Node("store-1".into());
        let between = Sides { from: vec![store()], to: Vec::new() };
        scenario.faults = vec![
            fault(3, None, FaultKind::Pause { target: store() }),
            fault(1, Some(2), FaultKind::Kill { target: Target::Any(Role::Gateway) }),
            fault(1, None, FaultKind::Blip { between: between.clone() }),
            fault(2, None, FaultKind::Blip { between }),
            fault(1, None, FaultKind::Kill { target: Target::Every(Role::Clients) }),
        ];
        let own = plan(&scenario, 1, OWN);
        let kinds: Vec<_> = own.faults.iter().map(|p| (p.fault.at.as_secs(), p.real)).collect();
        assert_eq!(kinds, [(1, RealFault::Kill), (3, RealFault::Pause), (3, RealFault::Kill)]);
        assert_eq!(own.doubt, None);
        let [note] = &own.notes[..] else { panic!("{:?}", own.notes) };
        assert!(
            note.starts_with("only 3 of the scenario's 6 faults can be injected, without blip")
        );
    }

    #[test]
    fn a_run_without_any_of_its_faults_is_in_doubt() {
        let mut scenario = crate::fixture::scenario(10, 5, 1);
        assert_eq!(plan(&scenario, 1, None), FaultPlan::default(), "it asks for none");
        let store = || Target::Node("store-1".into());
        let between = Sides { from: vec![store()], to: Vec::new() };
        scenario.faults = vec![fault(1, None, FaultKind::Blip { between })];
        assert!(plan(&scenario, 1, OWN).doubt.is_some_and(|doubt| doubt.contains("blip (links")));
        scenario.faults = vec![fault(1, None, FaultKind::Kill { target: store() })];
        assert_eq!(plan(&scenario, 1, OWN).doubt, None);
        let given = plan(&scenario, 1, None);
        assert!(given.faults.is_empty());
        assert!(given.doubt.is_some_and(|doubt| doubt.contains("kill (the cluster was given")));
    }

    #[test]
    fn random_faults_of_processes_are_done_where_nodes_have_one_each() {
        let mut scenario = crate::fixture::scenario(10, 5, 1);
        let second = Duration::from_secs(1);
        scenario.random_faults = Some(RandomFaults {
            lead: Duration::ZERO,
            every: second / 10,
            lasts_min: second / 10,
            lasts_max: second,
            kinds: ["kill", "pause", "power_loss"].map(str::to_owned).to_vec(),
            roles: vec![Role::Store, Role::Broker],
        });
        let each = plan(&scenario, 1, OWN);
        assert_eq!(each.faults.len(), faults::schedule(&scenario, 1).len());
        assert_eq!(each.doubt, None);
        let one = plan(&scenario, 1, Some(Processes::One));
        assert!(one.doubt.is_some_and(|doubt| doubt.contains("single nodes")), "{:?}", one.notes);
        scenario.random_faults.as_mut().unwrap().roles = vec![Role::Clients];
        let clients = plan(&scenario, 1, OWN).doubt.unwrap();
        assert!(clients.contains("clients run in the process that observes them"), "{clients}");
    }
}
