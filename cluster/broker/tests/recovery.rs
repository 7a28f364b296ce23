//! Restarts: what the log brings back, what a bad design choice loses, and what is refused.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use broker::{BrokerConfig, EmbeddedBroker, OpenError};
use fakes::{Failure, FakeDisk, FakeTelemetry};
use ports::Disk;
use ports::broker::conformance::{PARTITION, consume, numbers, publish, silence, take};
use ports::broker::{Brokers, Queue};
use protocol::design::{Fsync, Requeue};
use protocol::limits::BrokerLimits;
use protocol::{Design, Partition};
use segments::LogError;
use std::sync::Arc;
use std::time::Duration;
use support::machine_with;

async fn try_open(
    disk: &FakeDisk,
    config: BrokerConfig,
    telemetry: &Arc<FakeTelemetry>,
) -> Result<Brokers, OpenError> {
    EmbeddedBroker::open(machine_with(telemetry, disk), config).await.map(Brokers::one)
}

async fn open(disk: &FakeDisk, config: BrokerConfig) -> Brokers {
    try_open(disk, config, &Arc::default()).await.unwrap()
}

/// Loses the power, with everything unsynced gone.
async fn lose_power(disk: &FakeDisk, brokers: Brokers) {
    drop(brokers);
    tokio::task::yield_now().await;
    disk.power_loss(&mut |bound| bound.min(2) - 1);
}

#[tokio::test(start_paused = true)]
async fn without_fsync_a_power_loss_loses_confirmed_messages() {
    for (fsync, left) in [(Fsync::Always, 10), (Fsync::Never, 0)] {
        let disk = FakeDisk::default();
        let design = Design { fsync, ..Design::default() };
        let config = BrokerConfig { design, ..BrokerConfig::default() };
        let broker = open(&disk, config).await;
        publish(&broker, PARTITION, 0..10).await;
        lose_power(&disk, broker).await;
        let broker = open(&disk, config).await;
        let mut consumer = consume(&broker, PARTITION, 100).await;
        take(&mut *consumer, left).await;
        silence(&mut *consumer).await;
    }
}

#[tokio::test(start_paused = true)]
async fn requeue_at_the_back_changes_the_order() {
    for (requeue, order) in [(Requeue::Front, [0, 1, 2, 3]), (Requeue::Back, [2, 3, 0, 1])] {
        let design = Design { requeue, ..Design::default() };
        let config = BrokerConfig { design, ..BrokerConfig::default() };
        let broker = open(&FakeDisk::default(), config).await;
        publish(&broker, PARTITION, 0..4).await;
        let mut consumer = consume(&broker, PARTITION, 2).await;
        take(&mut *consumer, 2).await;
        drop(consumer);
        let mut consumer = consume(&broker, PARTITION, 100).await;
        assert_eq!(numbers(&take(&mut *consumer, 4).await), order);
    }
}

#[tokio::test(start_paused = true)]
async fn settlements_are_written_soon_without_anybody_waiting() {
    let disk = FakeDisk::default();
    let broker = open(&disk, BrokerConfig::default()).await;
    publish(&broker, PARTITION, 0..5).await;
    let mut consumer = consume(&broker, PARTITION, 4).await;
    let deliveries = take(&mut *consumer, 4).await;
    consumer.acknowledge(deliveries[1].position);
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(consumer);
    lose_power(&disk, broker).await;
    let broker = open(&disk, BrokerConfig::default()).await;
    let mut consumer = consume(&broker, PARTITION, 100).await;
    let again = take(&mut *consumer, 3).await;
    assert_eq!(numbers(&again), [2, 3, 4]);
    let redelivered: Vec<bool> = again.iter().map(|delivery| delivery.redelivered).collect();
    assert_eq!(redelivered, [true, true, false]);
}

#[tokio::test(start_paused = true)]
async fn the_log_shrinks_when_its_messages_are_settled() {
    let disk = FakeDisk::default();
    let config = BrokerConfig {
        limits: BrokerLimits { segment_bytes: 4_000, ..BrokerLimits::default() },
        ..BrokerConfig::default()
    };
    let broker = open(&disk, config).await;
    publish(&broker, Partition(9), 0..1).await;
    for round in 0..100 {
        publish(&broker, PARTITION, round * 100..(round + 1) * 100).await;
    }
    let full = disk.size();
    let mut consumer = consume(&broker, PARTITION, 100_000).await;
    let deliveries = take(&mut *consumer, 10_000).await;
    consumer.acknowledge(deliveries[9_999].position);
    tokio::time::sleep(Duration::from_secs(1)).await;
    for last in 10_000..10_004 {
        publish(&broker, PARTITION, [last]).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // The settlements themselves fill one large group.
    assert!(disk.size() < full / 5, "{} of {full} bytes", disk.size());
    drop(consumer);
    lose_power(&disk, broker).await;
    let broker = open(&disk, config).await;
    let depths = vec![(Queue::Inbound(PARTITION), 4), (Queue::Inbound(Partition(9)), 1)];
    assert_eq!(broker.depths.depths().await, Ok(depths));
}

#[tokio::test(start_paused = true)]
async fn a_damaged_segment_is_refused_and_left_as_it_is() {
    let disk = FakeDisk::default();
    let config = BrokerConfig {
        limits: BrokerLimits { segment_bytes: 200, ..BrokerLimits::default() },
        ..BrokerConfig::default()
    };
    let broker = open(&disk, config).await;
    for n in 0..60 {
        publish(&broker, PARTITION, [n]).await;
    }
    lose_power(&disk, broker).await;
    let names = disk.list().unwrap();
    assert!(names.len() >= 3, "{names:?}");
    for name in names.iter().filter(|name| *name != "broker.manifest") {
        let whole = disk.contents(name);
        let mut rotten = whole.clone();
        rotten[30] ^= 1;
        disk.put(name, &rotten);
        let before = disk.everything();
        let refused = try_open(&disk, config, &Arc::default()).await.err();
        let Some(OpenError::Log(LogError::Damaged { file, offset, .. })) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!((&file, offset), (name, 24), "its first group");
        assert_eq!(disk.everything(), before);
        disk.put(name, &whole);
    }
    let broker = open(&disk, config).await;
    assert_eq!(broker.depths.depths().await, Ok(vec![(Queue::Inbound(PARTITION), 60)]));
}

#[tokio::test(start_paused = true)]
async fn a_log_of_another_version_is_left_alone() {
    let disk = FakeDisk::default();
    let file = disk.open("broker-0000000001.log").unwrap();
    file.write_at(0, b"FRACASB9 and what follows").unwrap();
    file.sync_data().unwrap();
    disk.sync_dir().unwrap();
    let before = disk.size();
    let refused = try_open(&disk, BrokerConfig::default(), &Arc::default()).await.err();
    let Some(OpenError::Log(LogError::Version { found, .. })) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(found, '9');
    assert_eq!(disk.size(), before);
}

/// The proof that the disk of these tests has teeth: a disk that lies about syncs loses messages.
#[tokio::test(start_paused = true)]
async fn a_lying_disk_is_beyond_help() {
    let disk = FakeDisk::default();
    let broker = open(&disk, BrokerConfig::default()).await;
    disk.fail(Some(Failure::Lies));
    publish(&broker, PARTITION, 0..3).await;
    lose_power(&disk, broker).await;
    let broker = open(&disk, BrokerConfig::default()).await;
    assert_eq!(broker.depths.depths().await, Ok(Vec::new()));
}
