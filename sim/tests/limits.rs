//! With tiny limits a whole cluster reaches its bounds: each of them is seen in what its nodes count.
//! What the users saw of it is judged where scenarios are run.

use std::sync::Arc;

const SCENARIO: &str = include_str!("../../scenarios/safety/tiny-limits.toml");

/// What must have happened, by the counters of `docs/running.md`.
const REACHED: &[(&str, &[&str])] = &[
    ("rotation", &["broker_rotated_segments"]),
    ("compaction", &["broker_log_compactions", "auth_journal_compactions_total"]),
    ("checkpoint", &["store_checkpoint"]),
    ("eviction", &["store_evicted_conversations", "gateway_evicted_entries"]),
    ("overflow", &["broker_dropped_messages"]),
    ("refusal", &["gateway_rejections", "store_refused_calls", "broker_refused_messages"]),
    ("a slow consumer", &["gateway_closes_slow_consumer"]),
    ("a full window", &["store_windows_filled", "store_dropped_notices"]),
];

#[test]
fn a_cluster_with_tiny_limits_reaches_them() {
    let scenario = scenarios::parse(SCENARIO, "tiny-limits.toml", &[]);
    let scenario = scenario.unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let wanted = sim::SimulatedRun::new(Arc::new(scenario), 1);
    let run = sim::run(wanted, Box::new(|_| {}), None).expect("it is simulated");
    let ended = run.follow(|_| {});
    assert_eq!(ended.doubts, Vec::<String>::new());
    let counters = ended.counters;
    let missing: Vec<_> = REACHED
        .iter()
        .flat_map(|(what, names)| names.iter().map(move |name| (*what, *name)))
        .filter(|(_, name)| counters.get(name).copied().unwrap_or_default() == 0)
        .collect();
    assert!(missing.is_empty(), "not seen: {missing:?} among {counters:#?}");
}
