//! What a fault is told to have befallen.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use verify::history::event::{Event, What};

const HEAD: &str = r#"
question = "What becomes of a fault?"
lesson = "That is told."
[cluster]
stores = 2
partitions = 4
[users]
count = 4
conversations = { direct = 2 }
[load]
phases = [{ for = "4s", rate = "5/s" }]
"#;

const KILLS: &str = r#"
[[fault]]
at = "1s"
for = "2s"
kind = "kill"
target = "every store"
[[fault]]
at = "1s"
for = "1s"
kind = "kill"
target = "every store"
"#;

const DRAINS: &str = r#"
[[fault]]
at = "1s"
for = "1s"
kind = "drain"
target = "every store"
[[fault]]
at = "1s"
for = "100ms"
kind = "drain"
target = "gateway-1"
[[fault]]
at = "2500ms"
for = "500ms"
kind = "drain"
target = "broker-1"
"#;

const DRAINED_WHILE_FULL: &str = r#"
[[fault]]
at = "1s"
for = "2s"
kind = "full_disk"
target = "store-1"
[[fault]]
at = "1500ms"
for = "1s"
kind = "drain"
target = "every store"
"#;

const DRAWN_STORMS: &str = r#"
[random_faults]
every = "500ms"
for = "200ms..400ms"
kinds = ["storm"]
lead = "500ms"
"#;

/// The drain begins first, and ends while a kill holds what it hit.
const DRAINED_AND_HELD: &str = r#"
[[fault]]
at = "1s"
for = "1s"
kind = "drain"
target = "gateway-1"
[[fault]]
at = "1010ms"
for = "2s"
kind = "kill"
target = "gateway-1"
"#;

/// What is told of the faults of a run: whom each of them hit, and how many it had an effect on.
fn told(faults: &str) -> Vec<(String, u64)> {
    let text = format!("{HEAD}{faults}");
    let scenario = scenarios::parse(&text, "faults.toml", &[]);
    let scenario = scenario.unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let events = Arc::new(Mutex::new((BTreeMap::new(), Vec::new())));
    let sink = events.clone();
    let sink = Box::new(move |event: &Event| {
        let (targets, told) = &mut *sink.lock().expect("nobody panicked");
        match &event.is {
            What::FaultBegan { fault, target, .. } => {
                targets.insert(*fault, target.to_string());
            }
            What::FaultEnded { fault, effect } => {
                told.push((targets.remove(fault).expect("it began"), *effect));
            }
            What::NodeEnded { node, why } => panic!("{node} ended: {why}"),
            _ => {}
        }
    });
    let wanted = sim::SimulatedRun::new(Arc::new(scenario), 1);
    sim::run(wanted, sink, None).expect("it is simulated").follow(|_| {});
    let mut told = events.lock().expect("nobody panicked").1.clone();
    told.sort();
    told
}

#[test]
fn a_fault_of_nodes_that_are_down_already_names_them() {
    let down = ("store-1, store-2 (down already)".to_owned(), 0);
    assert_eq!(told(KILLS), [("store-1, store-2".to_owned(), 2), down]);
}

#[test]
fn who_does_not_end_when_asked_is_killed_and_does_not_count() {
    // A gateway takes longer to send its users elsewhere.
    let told = told(DRAINS);
    let told: Vec<(&str, u64)> = told.iter().map(|(target, effect)| (&**target, *effect)).collect();
    assert_eq!(told, [("broker-1", 1), ("gateway-1", 0), ("store-1, store-2", 2)]);
}

#[test]
fn what_befalls_users_by_lot_is_told() {
    let told = told(DRAWN_STORMS);
    assert!(told.len() > 1, "{told:?}");
    let is_storm = |(target, hit): &(String, u64)| target.ends_with(" of the sessions") && *hit > 0;
    assert!(told.iter().all(is_storm), "{told:?}");
}

#[test]
fn a_drain_does_not_start_who_was_killed_meanwhile() {
    let told = told(DRAINED_AND_HELD);
    let hit = |effect| ("gateway-1".to_owned(), effect);
    assert_eq!(told, [hit(0), hit(1)]);
}

#[test]
fn who_cannot_end_well_on_a_full_disk_does_not_count_and_has_not_ended_by_itself() {
    let told = told(DRAINED_WHILE_FULL);
    let [(full, refused), (both, ended)] = &told[..] else { panic!("{told:?}") };
    assert_eq!((full.as_str(), both.as_str()), ("store-1", "store-1, store-2"));
    assert!(*refused > 0 && *ended <= 1, "{told:?}");
}
