//! The broker in process: the conformance suite, and its limits and numbers.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use broker::{BrokerConfig, EmbeddedBroker};
use fakes::{Failure, FakeDisk, FakeNetwork, FakeTelemetry};
use ports::broker::conformance::{
    PARTITION, QUEUE, Stage, consume, fanout, numbers, publish, publish_jobs, silence, take, text,
};
use ports::broker::{Brokers, JobSettlement, PublishError};
use protocol::limits::BrokerLimits;
use std::sync::Arc;
use support::{machine, machine_with};

async fn start() -> Stage {
    let machine = machine("broker-1", &Arc::new(FakeNetwork::default()), &FakeDisk::default());
    let broker = EmbeddedBroker::open(machine, BrokerConfig::default()).await.unwrap();
    let brokers = Brokers::one(broker);
    Stage { here: brokers.clone(), there: brokers, keep: Box::new(()) }
}

ports::conformance!(inbound, start, tokio::test(start_paused = true));
ports::conformance!(jobs, start, tokio::test(start_paused = true));
ports::conformance!(fanout, start, tokio::test(start_paused = true));
ports::conformance!(dead_letters, start, tokio::test(start_paused = true));
ports::conformance!(depths, start, tokio::test(start_paused = true));
takeover!(start);

async fn open(disk: &FakeDisk, config: BrokerConfig) -> (Brokers, Arc<FakeTelemetry>) {
    let numbers = Arc::new(FakeTelemetry::default());
    let broker = EmbeddedBroker::open(machine_with(&numbers, disk), config).await.unwrap();
    (Brokers::one(broker), numbers)
}

fn batch(numbers: std::ops::Range<u32>) -> Vec<(protocol::Partition, bytes::Bytes)> {
    numbers.map(|n| (PARTITION, text(n))).collect()
}

#[tokio::test(start_paused = true)]
async fn a_full_durable_queue_refuses() {
    let config = BrokerConfig {
        limits: BrokerLimits { durable_queue_messages: 3, ..BrokerLimits::default() },
        ..BrokerConfig::default()
    };
    let (broker, telemetry) = open(&FakeDisk::default(), config).await;
    let full = Err(PublishError::Full);
    let confirms = broker.inbound.publish(batch(0..5)).await;
    assert_eq!(confirms, [Ok(()), Ok(()), Ok(()), full, full]);
    let mut consumer = consume(&broker, PARTITION, 10).await;
    let deliveries = take(&mut *consumer, 3).await;
    assert_eq!(broker.inbound.publish(batch(5..6)).await, [full]);
    consumer.acknowledge(deliveries[0].position);
    assert_eq!(broker.inbound.publish(batch(6..8)).await, [Ok(()), full]);
    assert_eq!(telemetry.counted("broker_publish"), 3);
    assert_eq!(telemetry.counted("broker_confirmed_messages"), 4);
    assert_eq!(telemetry.counted("broker_unconfirmed_messages"), 4);
}

#[tokio::test(start_paused = true)]
async fn a_full_gateway_queue_drops_the_newest() {
    let config = BrokerConfig {
        limits: BrokerLimits { gateway_queue_messages: 2, ..BrokerLimits::default() },
        ..BrokerConfig::default()
    };
    let (broker, telemetry) = open(&FakeDisk::default(), config).await;
    let life = fanout::life(1, 1);
    let mut gateway = fanout::consume(&broker, life).await;
    // Nobody is told: it may lose.
    fanout::publish(&broker, life, 0..3).await;
    assert_eq!(fanout::take(&mut *gateway, 2).await, [0, 1]);
    fanout::publish(&broker, life, 3..4).await;
    assert_eq!(fanout::take(&mut *gateway, 1).await, [3]);
    assert_eq!(telemetry.counted("broker_dropped_messages"), 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_visible_before_it_is_durable() {
    let disk = FakeDisk::default();
    let (broker, telemetry) = open(&disk, BrokerConfig::default()).await;
    disk.fail(Some(Failure::Sync));
    let mut consumer = consume(&broker, PARTITION, 10).await;
    let unknown = Err(PublishError::Unknown);
    assert_eq!(broker.inbound.publish(batch(0..2)).await, [unknown, unknown]);
    silence(&mut *consumer).await;
    disk.fail(None);
    publish(&broker, PARTITION, 2..3).await;
    assert_eq!(numbers(&take(&mut *consumer, 1).await), [2]);
    assert!(telemetry.counted("broker_failed_commits") >= 1);
    drop(consumer);
    drop(broker);
    disk.power_loss(&mut |_| 0);
    let (broker, _) = open(&disk, BrokerConfig::default()).await;
    let mut consumer = consume(&broker, PARTITION, 10).await;
    assert_eq!(numbers(&take(&mut *consumer, 1).await), [2]);
    silence(&mut *consumer).await;
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_loses_no_settlement() {
    let disk = FakeDisk::default();
    let (broker, _) = open(&disk, BrokerConfig::default()).await;
    publish(&broker, PARTITION, 0..4).await;
    let mut consumer = consume(&broker, PARTITION, 10).await;
    let deliveries = take(&mut *consumer, 4).await;
    publish_jobs(&broker, QUEUE, [9]).await;
    let mut jobs = broker.jobs.consume(QUEUE, 10).await.unwrap();
    let tag = jobs.next().await.unwrap()[0].tag;
    disk.fail(Some(Failure::Full));
    consumer.acknowledge(deliveries[1].position);
    jobs.settle(vec![JobSettlement::DeadLetter { tag, reason: "poison".to_owned() }]);
    let confirms = broker.inbound.publish(batch(4..5)).await;
    assert_eq!(confirms, [Err(PublishError::Unknown)]);
    // A death that is not durable is not listed.
    assert_eq!(broker.dead_letters.list(0, 10).await, Ok(Vec::new()));
    disk.fail(None);
    publish(&broker, PARTITION, 5..6).await;
    assert_eq!(broker.dead_letters.list(0, 10).await.unwrap().len(), 1);
    drop((consumer, jobs, broker));
    disk.power_loss(&mut |_| 1);
    let (broker, _) = open(&disk, BrokerConfig::default()).await;
    let mut consumer = consume(&broker, PARTITION, 10).await;
    assert_eq!(numbers(&take(&mut *consumer, 3).await), [2, 3, 5]);
    assert_eq!(broker.dead_letters.list(0, 10).await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn gauges_have_their_limits() {
    let (broker, telemetry) = open(&FakeDisk::default(), BrokerConfig::default()).await;
    publish(&broker, PARTITION, 0..10).await;
    publish_jobs(&broker, QUEUE, 0..3).await;
    let mut consumer = consume(&broker, PARTITION, 4).await;
    take(&mut *consumer, 4).await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert_eq!(telemetry.gauge_of("broker_queue_messages"), Some((10, 1_000_000)));
    assert_eq!(telemetry.gauge_of("broker_unsettled_messages"), Some((4, 4)));
    assert_eq!(telemetry.counted("broker_published_messages"), 13);
    assert_eq!(telemetry.counted("broker_confirmed_messages"), 13);
    assert_eq!(telemetry.counted("broker_publish"), 2, "two batches");
    assert_eq!(telemetry.counted("broker_unconfirmed_messages"), 0);
    assert!(telemetry.gauge_of("broker_log_bytes").unwrap().0 > 0);
}
