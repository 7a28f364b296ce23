//! The broker in process without a disk: the suites, and that nothing of it is written.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use broker::{BrokerConfig, BrokerEngine, EmbeddedBroker};
use fakes::FakeDisk;
use ports::Disk;
use ports::broker::Brokers;
use ports::broker::conformance::{PARTITION, Stage, consume, numbers, publish, take};
use protocol::limits::BrokerLimits;
use std::sync::Arc;
use support::machine_with;

async fn open(disk: &FakeDisk) -> Brokers {
    // Small segments: what is never written is never given up either.
    let limits = BrokerLimits { segment_bytes: 300, ..BrokerLimits::default() };
    let config = BrokerConfig { engine: BrokerEngine::Memory, limits, ..BrokerConfig::default() };
    let machine = machine_with(&Arc::default(), disk);
    Brokers::one(EmbeddedBroker::open(machine, config).await.unwrap())
}

async fn start() -> Stage {
    let brokers = open(&FakeDisk::default()).await;
    Stage { here: brokers.clone(), there: brokers, keep: Box::new(()) }
}

ports::conformance!(inbound, start, tokio::test(start_paused = true));
ports::conformance!(jobs, start, tokio::test(start_paused = true));
ports::conformance!(fanout, start, tokio::test(start_paused = true));
ports::conformance!(dead_letters, start, tokio::test(start_paused = true));
ports::conformance!(depths, start, tokio::test(start_paused = true));
takeover!(start);

#[tokio::test(start_paused = true)]
async fn nothing_is_written_and_nothing_survives() {
    let disk = FakeDisk::default();
    let broker = open(&disk).await;
    publish(&broker, PARTITION, 0..1_000).await;
    let mut consumer = consume(&broker, PARTITION, 1_000).await;
    let deliveries = take(&mut *consumer, 1_000).await;
    assert_eq!(numbers(&deliveries), (0..1_000).collect::<Vec<_>>());
    consumer.acknowledge(deliveries[998].position);
    assert_eq!(disk.list().unwrap(), Vec::<String>::new());
    drop((consumer, broker));
    assert_eq!(open(&disk).await.depths.depths().await, Ok(Vec::new()));
}
