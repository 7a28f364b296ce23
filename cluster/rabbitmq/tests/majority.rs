//! What becomes of consumers when two of three nodes are away: against those of `cargo xtask engines`.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod nodes;
mod patience;
mod support;

use futures_util::future::join_all;
use nodes::{kill, leader_of_all, persistently};
use patience::{PATIENCE, patiently};
use ports::broker::conformance::numbers;
use ports::broker::{Brokers, InboundConsumer};
use protocol::Partition;
use std::collections::BTreeSet;
use std::time::Duration;
use support::{brokers, config, prefix};
use tokio::time::{sleep, timeout};

/// Enough queues for each node to lead some.
const PARTITIONS: u16 = 12;

/// Everything that was published, from consumer after consumer, acknowledged as it comes; the last of them.
async fn all_of(
    brokers: &Brokers,
    partition: Partition,
    mut consumer: Box<dyn InboundConsumer>,
    published: std::ops::Range<u32>,
) -> Box<dyn InboundConsumer> {
    let mut missing: BTreeSet<u32> = published.collect();
    while !missing.is_empty() {
        let Ok(next) = timeout(PATIENCE, consumer.next()).await else {
            panic!("partition {partition}: nothing comes, and {missing:?} are missing");
        };
        if let Ok(deliveries) = next {
            consumer.acknowledge(deliveries.last().unwrap().position);
            missing.retain(|n| !numbers(&deliveries).contains(n));
        } else {
            consumer = patiently(brokers, partition).await;
        }
    }
    consumer
}

/// The third node, where the consumers are, is there all the time. The other two are killed at once, and then
/// the second one while the first one starts.
#[tokio::test(flavor = "multi_thread")]
async fn consumers_get_everything_after_two_of_three_nodes_were_away() {
    let mut config = config(&prefix());
    config.addresses.truncate(1);
    let client = brokers("store", &config).await;
    let partitions: Vec<_> = (0..PARTITIONS).map(Partition).collect();
    let mut consumers = join_all(partitions.iter().map(|it| patiently(&client, *it))).await;
    let publish = async |numbers: std::ops::Range<u32>| {
        join_all(partitions.iter().map(|it| persistently(&client, *it, numbers.clone()))).await;
    };
    let take = async |consumers: Vec<_>, numbers: std::ops::Range<u32>| {
        let each = partitions.iter().zip(consumers);
        join_all(each.map(|(it, consumer)| all_of(&client, *it, consumer, numbers.clone()))).await
    };
    for (round, pause) in (0..).zip([0, 4]) {
        let [first, second, end] = [0, 10, 20].map(|n| round * 20 + n);
        publish(first..second).await;
        consumers = take(consumers, first..second).await;
        for partition in &partitions {
            leader_of_all(&config.prefix, *partition).await;
        }
        kill(1);
        sleep(Duration::from_secs(pause)).await;
        kill(2);
        let publishing = publish(second..end);
        (consumers, ()) = tokio::join!(take(consumers, second..end), publishing);
    }
}
