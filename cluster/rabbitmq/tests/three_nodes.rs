//! What becomes of a queue when the node that leads it is killed: against the three nodes of
//! `cargo xtask engines`, which starts each again when it ends.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod nodes;
mod patience;
mod support;

use nodes::{kill, leader_of_all, persistently};
use patience::{PATIENCE, patiently};
use ports::broker::Brokers;
use ports::broker::conformance::{PARTITION, numbers};
use std::collections::BTreeSet;
use std::time::Duration;
use support::{brokers, config, prefix};
use tokio::time::{Instant, timeout};

/// How soon something is confirmed again after the leader was killed.
const BACK: Duration = Duration::from_secs(10);
/// Messages before, during and after.
const EACH: u32 = 500;

/// Everything up to a number, from consumer after consumer, acknowledged as it comes.
async fn all_until(brokers: &Brokers, last: u32) -> Vec<u32> {
    let mut all = Vec::new();
    let mut consumer = patiently(brokers, PARTITION).await;
    while all.last() != Some(&last) {
        match timeout(PATIENCE, consumer.next()).await.expect("something comes") {
            Ok(deliveries) => {
                consumer.acknowledge(deliveries.last().unwrap().position);
                all.extend(numbers(&deliveries));
            }
            Err(_) => consumer = patiently(brokers, PARTITION).await,
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_leader_loses_nothing_and_keeps_the_order() {
    let config = config(&prefix());
    let (gateway, store) = (brokers("gateway", &config).await, brokers("store", &config).await);
    let mut arrived_late = BTreeSet::new();
    let mut expected = 0;
    for _ in 0..3 {
        persistently(&gateway, PARTITION, expected..expected + EACH).await;
        let last = expected + 2 * EACH - 1;
        let consuming = all_until(&store, last);
        let leader = leader_of_all(&config.prefix, PARTITION).await;
        let killing = async {
            kill(leader);
            let began = Instant::now();
            let again = persistently(&gateway, PARTITION, expected + EACH..last + 1).await;
            assert!(began.elapsed() < BACK, "{:?}", began.elapsed());
            again
        };
        let (arrived, again) = tokio::join!(consuming, killing);
        arrived_late.extend(again);
        // What was confirmed is there, in its order. What was delivered and not yet acknowledged comes again,
        // and so does what was published again.
        let mut next = expected;
        for n in arrived {
            assert!(n <= next, "{n} came, and {next} is missing");
            next = next.max(n + 1);
        }
        assert_eq!(next, last + 1);
        expected = last + 1;
    }
    println!("published more than once: {arrived_late:?}");
}
