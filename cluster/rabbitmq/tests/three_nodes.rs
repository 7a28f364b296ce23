//! What becomes of queues when the nodes that lead them are killed: against the three nodes of
//! `cargo xtask engines`, which starts each again when it ends.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod patience;
mod support;

use futures_util::future::join_all;
use patience::{PATIENCE, patiently};
use ports::broker::conformance::{PARTITION, numbers, text};
use ports::broker::{Brokers, InboundConsumer, PublishError};
use protocol::Partition;
use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;
use support::{brokers, config, prefix, told};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

/// How soon something is confirmed again after the leader was killed.
const BACK: Duration = Duration::from_secs(10);
/// Messages before, during and after.
const EACH: u32 = 500;
/// Enough queues for each node to lead some.
const PARTITIONS: u16 = 12;
/// One test at a time does something to the nodes.
static ALONE: Mutex<()> = Mutex::const_new(());

/// The place of the node that leads a partition's queue among those of `FRACAS_RABBITMQ`, as soon as all of
/// them have the queue: two of three that are away at once are more than a quorum bears.
async fn leader_of_all(prefix: &str, partition: Partition) -> usize {
    let began = Instant::now();
    loop {
        if let Some(leader) = leader(prefix, partition) {
            return leader;
        }
        assert!(began.elapsed() < PATIENCE, "the queue is not whole again");
        sleep(Duration::from_millis(500)).await;
    }
}

fn leader(prefix: &str, partition: Partition) -> Option<usize> {
    let arguments = ["list_queues", "--quiet", "--formatter=json", "name", "leader", "online"];
    let output = Command::new(told("FRACAS_RABBITMQ_CONTROL")).args(arguments).output().unwrap();
    // The node that is asked may be the one that is away.
    let queues: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).ok()?;
    let name = format!("{prefix}.inbound.{partition}");
    let queue = queues.iter().find(|queue| queue["name"] == name.as_str())?;
    if queue["online"].as_array()?.len() < 3 {
        return None;
    }
    // `fracas-PORT@localhost`
    let (node, _) = queue["leader"].as_str()?.split_once('@')?;
    let ends_so = |address: &str| address.ends_with(&format!(":{}", &node["fracas-".len()..]));
    told("FRACAS_RABBITMQ").split(',').position(ends_so)
}

/// As a power failure of its process: nothing is said to anybody.
fn kill(node: usize) {
    let pids = told("FRACAS_RABBITMQ_PID");
    let id = std::fs::read_to_string(pids.split(',').nth(node).unwrap()).unwrap();
    let killed = Command::new("kill").args(["-KILL", id.trim()]).status().unwrap();
    assert!(killed.success());
}

/// Publishes each number until it is confirmed, one after the other; those that took more than one attempt.
async fn persistently(
    brokers: &Brokers,
    partition: Partition,
    numbers: std::ops::Range<u32>,
) -> BTreeSet<u32> {
    let mut again = BTreeSet::new();
    let publish_all = async {
        for n in numbers {
            loop {
                match brokers.inbound.publish(vec![(partition, text(n))]).await[..] {
                    [Ok(())] => break,
                    // A queue without a leader refuses too, and is not full.
                    [Err(PublishError::Unknown)] => again.insert(n),
                    ref other => panic!("{other:?}"),
                };
            }
        }
    };
    timeout(PATIENCE, publish_all).await.expect("confirmed at last");
    again
}

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
    let _alone = ALONE.lock().await;
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

/// Everything that was published, from consumer after consumer, acknowledged as it comes; the last of them.
async fn all_of(
    brokers: &Brokers,
    partition: Partition,
    mut consumer: Box<dyn InboundConsumer>,
    published: std::ops::Range<u32>,
) -> Box<dyn InboundConsumer> {
    let mut missing: BTreeSet<u32> = published.collect();
    while !missing.is_empty() {
        match timeout(PATIENCE, consumer.next()).await {
            Ok(Ok(deliveries)) => {
                consumer.acknowledge(deliveries.last().unwrap().position);
                missing.retain(|n| !numbers(&deliveries).contains(n));
            }
            Ok(Err(_)) => consumer = patiently(brokers, partition).await,
            Err(_) => panic!("partition {partition}: nothing comes, and {missing:?} are missing"),
        }
    }
    consumer
}

/// The third node, where the consumers are, is there all the time. The other two are killed at once, and then
/// the second one while the first one starts.
#[tokio::test(flavor = "multi_thread")]
async fn consumers_get_everything_after_two_of_three_nodes_were_away() {
    let _alone = ALONE.lock().await;
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
