//! The Kafka that `cargo xtask engines` has started, and adapters of it.

use kafka::{KafkaBroker, KafkaConfig};
use ports::broker::Brokers;
use ports::{Entropy, Machine};
use protocol::limits::BrokerLimits;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::time::timeout;

/// What `cargo xtask engines` says about it.
pub fn told(variable: &str) -> String {
    std::env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} is not set: run `cargo xtask engines kafka`"))
}

/// A machine on this one, with a folder of its own.
pub fn machine(name: &str) -> Machine {
    // What the adapter says stands beside a failure. Only the first call sets it up.
    let _ = tracing_subscriber::fmt().with_test_writer().try_init();
    static MADE: AtomicU32 = AtomicU32::new(0);
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    let folder = format!("kafka-{}-{number}", std::process::id());
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder);
    real::machine(name, &folder).expect("a folder for tests")
}

/// Names that nobody has used.
pub fn prefix() -> String {
    format!("test-{:016x}", real::SystemEntropy.next_u64())
}

/// The way to the broker, with names that begin with `prefix`.
pub fn config(prefix: &str) -> KafkaConfig {
    KafkaConfig {
        servers: told("FRACAS_KAFKA").split(',').map(str::to_owned).collect(),
        prefix: prefix.to_owned(),
        // As many as there are nodes.
        replication: u16::try_from(told("FRACAS_KAFKA").split(',').count()).unwrap_or(u16::MAX),
        acks: kafka::Acks::All,
        partitions: 4,
        job_queues: 3,
        gateways: 2,
        credentials: None,
        encryption: None,
        limits: BrokerLimits::default(),
    }
}

/// One adapter, connected.
pub async fn brokers(name: &str, config: &KafkaConfig) -> Brokers {
    let broker = KafkaBroker::start(machine(name), config).expect("clients");
    timeout(Duration::from_secs(30), broker.connected()).await.expect("Kafka answers");
    Brokers::one(broker)
}
