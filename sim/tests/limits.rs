//! With tiny limits a whole cluster reaches its bounds: each of them is seen in what its nodes count.
//! What the users saw of it is judged where scenarios are run.

use std::collections::BTreeMap;
use std::sync::Arc;

/// What must have happened, by the counters of `docs/running.md`.
const REACHED: &[(&str, &[&str])] = &[
    ("rotation", &["broker_rotated_segments"]),
    ("compaction", &["broker_log_compactions", "auth_journal_compactions_total"]),
    ("checkpoint", &["store_checkpoint"]),
    ("eviction", &["store_evicted_conversations", "gateway_evicted_entries"]),
    ("overflow", &["broker_dropped_messages"]),
    ("refusal", &["gateway_rejections", "store_refused_calls", "broker_refused_messages"]),
    ("a full window", &["store_windows_filled", "store_dropped_notices"]),
];

#[test]
fn a_cluster_with_tiny_limits_reaches_them() {
    let counters = counters(include_str!("../../scenarios/safety/tiny-limits.toml"));
    let missing: Vec<_> = REACHED
        .iter()
        .flat_map(|(what, names)| names.iter().map(move |name| (*what, *name)))
        .filter(|(_, name)| counters.get(name).copied().unwrap_or_default() == 0)
        .collect();
    assert!(missing.is_empty(), "not seen: {missing:?} among {counters:#?}");
}

/// State frames and pages make no session slow, even with tiny limits: that takes a client that does not
/// read what others write.
#[test]
fn a_client_that_does_not_read_is_closed_as_slow() {
    let counters = counters(include_str!("../../scenarios/safety/slow-consumer.toml"));
    let closes = counters.get("gateway_closes_slow_consumer").copied().unwrap_or_default();
    assert!(closes > 0, "{counters:#?}");
}

/// What the nodes of a scenario count with its first seed.
fn counters(scenario: &str) -> BTreeMap<&'static str, u64> {
    let scenario = scenarios::parse(scenario, "scenario.toml", &[]);
    let scenario = scenario.unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let wanted = sim::SimulatedRun::new(Arc::new(scenario), 1);
    let run = sim::run(wanted, Box::new(|_| {}), None).expect("it is simulated");
    let ended = run.follow(|_| {});
    assert_eq!(ended.doubts, Vec::<String>::new());
    ended.counters
}
