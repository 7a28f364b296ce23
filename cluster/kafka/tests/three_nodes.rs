//! What becomes of a partition when the broker that leads it is killed: against the three nodes of
//! `cargo xtask engines`, which starts each again when it ends.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use ports::broker::conformance::{PARTITION, QUEUE, numbers, text};
use ports::broker::{Brokers, InboundConsumer, InboundOptions, Job, JobSettlement, PublishError};
use protocol::Epoch;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use std::ops::Range;
use std::process::Command;
use std::time::Duration;
use support::{brokers, config, prefix, told};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

/// One test at a time kills a node: two that are away at once are more than a majority bears.
static ALONE: Mutex<()> = Mutex::const_new(());
/// How long anything may take.
const PATIENCE: Duration = Duration::from_mins(2);
/// How soon something is confirmed again after a leader was killed: the others notice it after
/// `broker.session.timeout.ms`, 9 s by default, and may have to elect a controller first.
const BACK: Duration = Duration::from_secs(30);
/// Messages before a kill, and after it.
const EACH: u32 = 300;

/// The number of the node that leads a partition, from 1, as soon as all three have its messages.
async fn leader_of_all(topic: &str, partition: i32) -> usize {
    let servers = told("FRACAS_KAFKA");
    let client: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", servers).create().unwrap();
    let began = Instant::now();
    loop {
        if let Some(leader) = leader(&client, topic, partition) {
            return leader;
        }
        assert!(began.elapsed() < PATIENCE, "the partition is not whole again");
        sleep(Duration::from_millis(500)).await;
    }
}

fn leader(client: &BaseConsumer, topic: &str, partition: i32) -> Option<usize> {
    let metadata = client.fetch_metadata(Some(topic), Duration::from_secs(5)).ok()?;
    let partitions = metadata.topics().first()?.partitions();
    let found = partitions.iter().find(|found| found.id() == partition)?;
    (found.isr().len() == 3).then(|| usize::try_from(found.leader()).ok())?
}

/// Nothing is said to anybody.
fn kill(node: usize) {
    let pids = told("FRACAS_KAFKA_PID");
    let id = std::fs::read_to_string(pids.split(',').nth(node - 1).unwrap()).unwrap();
    let killed = Command::new("kill").args(["-KILL", id.trim()]).status().unwrap();
    assert!(killed.success());
}

/// Publishes each number until it is confirmed, one after the other.
async fn persistently(brokers: &Brokers, numbers: Range<u32>) {
    let publish_all = async {
        for n in numbers {
            loop {
                match brokers.inbound.publish(vec![(PARTITION, text(n))]).await[..] {
                    [Ok(())] => break,
                    [Err(PublishError::Unknown)] => {}
                    ref other => panic!("{other:?}"),
                }
            }
        }
    };
    timeout(PATIENCE, publish_all).await.expect("confirmed at last");
}

async fn patiently(brokers: &Brokers, epoch: u64) -> Box<dyn InboundConsumer> {
    let options = InboundOptions { prefetch: 100, epoch: Epoch(epoch) };
    let attempts = async {
        loop {
            if let Ok(consumer) = brokers.inbound.consume(PARTITION, options).await {
                return consumer;
            }
        }
    };
    timeout(PATIENCE, attempts).await.expect("Kafka is back")
}

/// Everything up to a number, from consumer after consumer, acknowledged as it comes.
async fn all_until(brokers: &Brokers, epoch: u64, last: u32) -> Vec<u32> {
    let mut all = Vec::new();
    let mut consumer = patiently(brokers, epoch).await;
    while all.last() != Some(&last) {
        match timeout(PATIENCE, consumer.next()).await.expect("something comes") {
            Ok(deliveries) => {
                consumer.acknowledge(deliveries.last().unwrap().position);
                all.extend(numbers(&deliveries));
            }
            Err(_) => consumer = patiently(brokers, epoch).await,
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_leader_loses_nothing_and_keeps_the_order() {
    let _alone = ALONE.lock().await;
    let config = config(&prefix());
    let (gateway, store) = (brokers("gateway", &config).await, brokers("store", &config).await);
    let topic = format!("{}.inbound", config.prefix);
    let mut expected = 0;
    for round in 0..3 {
        persistently(&gateway, expected..expected + EACH).await;
        let last = expected + 2 * EACH - 1;
        let leader = leader_of_all(&topic, i32::from(PARTITION.0)).await;
        let killing = async {
            kill(leader);
            let began = Instant::now();
            persistently(&gateway, expected + EACH..expected + EACH + 1).await;
            println!("round {round}: confirmed after {:?}", began.elapsed());
            assert!(began.elapsed() < BACK, "{:?}", began.elapsed());
            persistently(&gateway, expected + EACH + 1..last + 1).await;
        };
        let (arrived, ()) = tokio::join!(all_until(&store, round + 1, last), killing);
        // What was confirmed is there, in its order. What was delivered and not yet acknowledged comes again,
        // and so does what was published again.
        let mut next = expected;
        for n in arrived {
            assert!(n <= next, "{n} came, and {next} is missing");
            next = next.max(n + 1);
        }
        expected = last + 1;
        assert_eq!(next, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_are_settled_stay_so_when_a_leader_is_killed() {
    let _alone = ALONE.lock().await;
    let config = config(&prefix());
    let client = brokers("notifier", &config).await;
    let jobs = (0..20).map(|n| Job { queue: QUEUE, message: text(n) });
    assert_eq!(client.jobs.publish(jobs.collect()).await, [Ok(()); 20]);
    let mut consumer = client.jobs.consume(QUEUE, 100).await.unwrap();
    let mut held = Vec::new();
    while held.len() < 20 {
        held.extend(timeout(PATIENCE, consumer.next()).await.expect("in time").unwrap());
    }
    // Every other one, so that more than an offset has to be kept.
    let done = held.iter().step_by(2).map(|job| JobSettlement::Done { tag: job.tag });
    consumer.settle(done.collect());
    sleep(Duration::from_secs(1)).await;
    let topic = format!("{}.notify", config.prefix);
    let leader = leader_of_all(&topic, i32::from(QUEUE)).await;
    kill(leader);
    drop(consumer);
    let again = async {
        loop {
            let Ok(mut consumer) = client.jobs.consume(QUEUE, 100).await else { continue };
            let mut open = Vec::new();
            while open.len() < 10 {
                let Ok(more) = consumer.next().await else { break };
                open.extend(more.into_iter().map(|job| job.message));
            }
            if open.len() >= 10 {
                return open;
            }
        }
    };
    let open = timeout(PATIENCE, again).await.expect("Kafka is back");
    let expected: Vec<_> = (0..20).skip(1).step_by(2).map(text).collect();
    assert_eq!(open, expected);
}
