//! What can be done of a scenario's faults.

use super::*;
use crate::run::Engines;
use scenarios::scenario::{Fault, RandomFaults, Sides};
use std::time::Duration;

const OWN: Reach = on(Some(Processes::EachNode(Engines::NONE)));

const fn on(processes: Option<Processes>) -> Reach {
    Reach { processes, alone: true }
}

fn skew() -> FaultKind {
    FaultKind::Skew { target: Target::Any(Role::Store), offset_ms: 1, drift_ppm: 0 }
}

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
    let broker = || Target::Node("broker-1".into());
    let between = Sides { from: vec![broker()], to: Vec::new() };
    scenario.faults = vec![
        fault(3, None, FaultKind::Pause { target: store() }),
        fault(1, Some(2), FaultKind::Kill { target: Target::Any(Role::Gateway) }),
        fault(1, None, skew()),
        fault(2, None, skew()),
        fault(2, None, FaultKind::Blip { between }),
        fault(1, None, FaultKind::Kill { target: Target::Every(Role::Clients) }),
    ];
    let own = plan(&scenario, 1, OWN);
    let kinds: Vec<_> = own.faults.iter().map(|p| (p.fault.at.as_secs(), p.real)).collect();
    let [kill, pause, links] = [RealFault::Kill, RealFault::Pause, RealFault::Links];
    assert_eq!(kinds, [(1, kill), (2, links), (3, pause), (3, kill)]);
    assert_eq!(own.doubt, None);
    let [note] = &own.notes[..] else { panic!("{:?}", own.notes) };
    assert!(note.starts_with("only 4 of the scenario's 7 faults can be injected, without kill"));
    assert!(note.contains("skew (clocks"), "{note}");
    scenario.faults.pop();
    let between = Sides { from: vec![broker()], to: Vec::new() };
    let engines = Engines { rabbitmq: 3, ..Engines::NONE };
    let of_rabbitmq = FaultKind::Cut { between, one_way: true };
    scenario.faults = vec![fault(1, None, of_rabbitmq)];
    let [note] = &plan(&scenario, 1, on(Some(Processes::EachNode(engines)))).notes[..] else {
        panic!("one note")
    };
    assert!(note.starts_with("cut: not all of its links are hit: servers of one"), "{note}");
}

#[test]
fn a_run_without_any_of_its_faults_is_in_doubt() {
    let mut scenario = crate::fixture::scenario(10, 5, 1);
    assert_eq!(plan(&scenario, 1, on(None)), FaultPlan::default(), "it asks for none");
    let store = || Target::Node("store-1".into());
    scenario.faults = vec![fault(1, None, skew())];
    assert!(plan(&scenario, 1, OWN).doubt.is_some_and(|doubt| doubt.contains("skew (clocks")));
    scenario.faults = vec![fault(1, None, FaultKind::Kill { target: store() })];
    assert_eq!(plan(&scenario, 1, OWN).doubt, None);
    let given = plan(&scenario, 1, on(None));
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
    let one = plan(&scenario, 1, on(Some(Processes::One)));
    assert!(one.doubt.is_some_and(|doubt| doubt.contains("single nodes")), "{:?}", one.notes);
    scenario.random_faults.as_mut().unwrap().roles = vec![Role::Clients];
    let clients = plan(&scenario, 1, OWN).doubt.unwrap();
    assert!(clients.contains("clients run in the process that observes them"), "{clients}");
}
