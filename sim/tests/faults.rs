//! What a fault is told to have befallen.

use std::sync::{Arc, Mutex};
use verify::history::event::{Event, What};

const SCENARIO: &str = r#"
question = "Who is killed that is down already?"
lesson = "Nobody."
[cluster]
stores = 2
partitions = 4
[users]
count = 4
conversations = { direct = 2 }
[load]
phases = [{ for = "4s", rate = "5/s" }]
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

#[test]
fn a_fault_of_nodes_that_are_down_already_names_them() {
    let scenario = scenarios::parse(SCENARIO, "twice.toml", &[]);
    let scenario = scenario.unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let events = Arc::new(Mutex::new(Vec::new()));
    let sink = events.clone();
    let sink = Box::new(move |event: &Event| {
        if let What::FaultBegan { target, .. } = &event.is {
            sink.lock().expect("nobody panicked").push(target.to_string());
        }
    });
    let wanted = sim::SimulatedRun::new(Arc::new(scenario), 1);
    sim::run(wanted, sink, None).expect("it is simulated").follow(|_| {});
    let mut targets = events.lock().expect("nobody panicked").clone();
    targets.sort();
    assert_eq!(targets, ["store-1, store-2", "store-1, store-2 (down already)"]);
}
