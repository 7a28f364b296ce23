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

/// Simulates a run with these faults.
fn simulate(faults: &str, sink: impl FnMut(&Event) + Send + 'static) {
    let text = format!("{HEAD}{faults}");
    let scenario = scenarios::parse(&text, "faults.toml", &[]);
    let scenario = scenario.unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let wanted = sim::SimulatedRun::new(Arc::new(scenario), 1);
    sim::run(wanted, Box::new(sink), None).expect("it is simulated").follow(|_| {});
}

/// What a run brings, as far as it is wanted, in its order.
fn seen(faults: &str, wanted: fn(&What) -> Option<String>) -> Vec<String> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = seen.clone();
    simulate(faults, move |event| {
        sink.lock().expect("nobody panicked").extend(wanted(&event.is));
    });
    seen.lock().expect("nobody panicked").clone()
}

/// What is told of the faults of a run: whom each of them hit, and how many it had an effect on.
fn told(faults: &str) -> Vec<(String, u64)> {
    let events = Arc::new(Mutex::new((BTreeMap::new(), Vec::new())));
    let sink = events.clone();
    simulate(faults, move |event| {
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
    let of_gateway = |is: &What| match is {
        What::NodeStarted { node } if &**node == "gateway-1" => Some("started".to_owned()),
        What::FaultEnded { fault, effect } => Some(format!("fault {fault} ended: {effect}")),
        _ => None,
    };
    let seen = seen(DRAINED_AND_HELD, of_gateway);
    assert_eq!(seen, ["started", "fault 1 ended: 0", "fault 2 ended: 1", "started"]);
}

#[test]
fn who_cannot_end_well_on_a_full_disk_does_not_count_and_has_not_ended_by_itself() {
    let told = told(DRAINED_WHILE_FULL);
    let [(full, refused), (both, ended)] = &told[..] else { panic!("{told:?}") };
    assert_eq!((full.as_str(), both.as_str()), ("store-1", "store-1, store-2"));
    assert!(*refused > 0 && *ended <= 1, "{told:?}");
}
