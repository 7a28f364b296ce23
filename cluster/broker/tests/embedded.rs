//! The broker in process: the conformance suite, and its limits and numbers.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use broker::{BrokerConfig, EmbeddedBroker};
use ports::Broker;
use ports::broker::{PublishError, Queue, Settlement};
use protocol::limits::BrokerLimits;
use protocol::{GatewayId, Incarnation};
use std::sync::Arc;
use support::conformance::{QUEUE, Stage, batch, consume, numbers, publish, silence, take};
use support::crash_disk::{CrashDisk, Failure};
use support::{Numbers, Pipes, machine, machine_with};

async fn start() -> Stage {
    let machine = machine("broker-1", &Arc::new(Pipes::default()), &Arc::default());
    let broker = EmbeddedBroker::open(machine, BrokerConfig::default()).await.unwrap();
    Stage { broker: broker.clone(), other: broker, keep: Box::new(()) }
}

conformance!(start);

async fn open(disk: &Arc<CrashDisk>, config: BrokerConfig) -> (Arc<EmbeddedBroker>, Arc<Numbers>) {
    let numbers = Arc::new(Numbers::default());
    let broker = EmbeddedBroker::open(machine_with(&numbers, disk), config).await.unwrap();
    (broker, numbers)
}

#[tokio::test(start_paused = true)]
async fn a_full_durable_queue_refuses() {
    let config = BrokerConfig {
        limits: BrokerLimits { durable_queue_messages: 3, ..BrokerLimits::default() },
        ..BrokerConfig::default()
    };
    let (broker, _) = open(&Arc::default(), config).await;
    let full = Err(PublishError::Full);
    let confirms = broker.publish(batch(QUEUE, 0..5)).await;
    assert_eq!(confirms, [Ok(()), Ok(()), Ok(()), full, full]);
    let mut consumer = consume(&*broker, QUEUE, 10, 1).await;
    let deliveries = take(&mut *consumer, 3).await;
    assert_eq!(broker.publish(batch(QUEUE, 5..6)).await, [full]);
    consumer.settle(vec![Settlement::Ack(deliveries[0].tag)]);
    assert_eq!(broker.publish(batch(QUEUE, 6..8)).await, [Ok(()), full]);
}

#[tokio::test(start_paused = true)]
async fn a_full_gateway_queue_drops_the_newest_and_says_so() {
    let config = BrokerConfig {
        limits: BrokerLimits { gateway_queue_messages: 2, ..BrokerLimits::default() },
        ..BrokerConfig::default()
    };
    let (broker, telemetry) = open(&Arc::default(), config).await;
    let queue = Queue::Gateway(GatewayId(1), Incarnation(1));
    let mut gateway = consume(&*broker, queue, 10, 0).await;
    let full = Err(PublishError::Full);
    assert_eq!(broker.publish(batch(queue, 0..3)).await, [Ok(()), Ok(()), full]);
    let deliveries = take(&mut *gateway, 2).await;
    assert_eq!(numbers(&deliveries), [0, 1]);
    assert_eq!(deliveries.iter().map(|d| d.lossy).collect::<Vec<_>>(), [true, false]);
    publish(&*broker, queue, 3..4).await;
    assert!(!take(&mut *gateway, 1).await[0].lossy);
    assert_eq!(telemetry.count_of("broker_dropped_messages"), 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_visible_before_it_is_durable() {
    let disk = Arc::new(CrashDisk::default());
    let (broker, telemetry) = open(&disk, BrokerConfig::default()).await;
    disk.fail(Some(Failure::Sync));
    let mut consumer = consume(&*broker, QUEUE, 10, 1).await;
    let unknown = Err(PublishError::Unknown);
    assert_eq!(broker.publish(batch(QUEUE, 0..2)).await, [unknown, unknown]);
    silence(&mut *consumer).await;
    disk.fail(None);
    publish(&*broker, QUEUE, 2..3).await;
    assert_eq!(numbers(&take(&mut *consumer, 1).await), [2]);
    assert!(telemetry.count_of("broker_failed_commits") >= 1);
    drop(consumer);
    drop(broker);
    disk.crash(|_| 0);
    let (broker, _) = open(&disk, BrokerConfig::default()).await;
    let mut consumer = consume(&*broker, QUEUE, 10, 1).await;
    assert_eq!(numbers(&take(&mut *consumer, 1).await), [2]);
    silence(&mut *consumer).await;
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_loses_no_settlement() {
    let disk = Arc::new(CrashDisk::default());
    let (broker, _) = open(&disk, BrokerConfig::default()).await;
    publish(&*broker, QUEUE, 0..4).await;
    let mut consumer = consume(&*broker, QUEUE, 10, 1).await;
    let deliveries = take(&mut *consumer, 4).await;
    disk.fail(Some(Failure::Write));
    consumer.settle(vec![
        Settlement::AckThrough(deliveries[1].tag),
        Settlement::DeadLetter { tag: deliveries[2].tag, reason: "poison".to_owned() },
    ]);
    let confirms = broker.publish(batch(QUEUE, 4..5)).await;
    assert_eq!(confirms, [Err(PublishError::Unknown)]);
    // A death that is not durable is not listed.
    assert_eq!(broker.dead_letters(0, 10).await, Ok(Vec::new()));
    disk.fail(None);
    publish(&*broker, QUEUE, 5..6).await;
    assert_eq!(broker.dead_letters(0, 10).await.unwrap().len(), 1);
    drop((consumer, broker));
    disk.crash(|_| 1);
    let (broker, _) = open(&disk, BrokerConfig::default()).await;
    let mut consumer = consume(&*broker, QUEUE, 10, 1).await;
    assert_eq!(numbers(&take(&mut *consumer, 2).await), [3, 5]);
    assert_eq!(broker.dead_letters(0, 10).await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn gauges_have_their_limits() {
    let (broker, telemetry) = open(&Arc::default(), BrokerConfig::default()).await;
    publish(&*broker, QUEUE, 0..10).await;
    publish(&*broker, Queue::Notify(1), 0..3).await;
    let mut consumer = consume(&*broker, QUEUE, 4, 1).await;
    take(&mut *consumer, 4).await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert_eq!(telemetry.gauge_of("broker_queue_messages"), Some((10, 1_000_000)));
    assert_eq!(telemetry.gauge_of("broker_unsettled_messages"), Some((4, 4)));
    assert_eq!(telemetry.count_of("broker_published_messages"), 13);
    assert_eq!(telemetry.count_of("broker_confirmed_messages"), 13);
    assert!(telemetry.gauge_of("broker_log_bytes").unwrap().0 > 0);
}
