//! The RabbitMQ that `cargo xtask engines` has started, and adapters of it.

use ports::broker::Brokers;
use ports::{Entropy, Machine};
use protocol::limits::BrokerLimits;
use rabbitmq::{Management, RabbitBroker, RabbitConfig};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::time::timeout;

/// What `cargo xtask engines` says about it.
pub fn told(variable: &str) -> String {
    std::env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} is not set: run `cargo xtask engines rabbitmq`"))
}

/// A machine on this one, with a folder of its own.
pub fn machine(name: &str) -> Machine {
    static MADE: AtomicU32 = AtomicU32::new(0);
    // What the adapter says stands beside a failure. Only the first call sets it up.
    let _ = tracing_subscriber::fmt().with_test_writer().try_init();
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    let folder = format!("rabbitmq-{}-{number}", std::process::id());
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder);
    real::machine(name, &folder).expect("a folder for tests")
}

/// Names that nobody has used.
pub fn prefix() -> String {
    format!("test-{:016x}", real::SystemEntropy.next_u64())
}

/// The way to the broker, with names that begin with `prefix`.
pub fn config(prefix: &str) -> RabbitConfig {
    RabbitConfig {
        addresses: told("FRACAS_RABBITMQ").split(',').map(str::to_owned).collect(),
        user: "guest".into(),
        password: "guest".into(),
        virtual_host: "/".into(),
        tls: false,
        authority: None,
        prefix: prefix.to_owned(),
        quorum_queues: true,
        management: Some(Management { address: told("FRACAS_RABBITMQ_MANAGEMENT") }),
        limits: BrokerLimits::default(),
    }
}

/// One adapter, connected.
pub async fn brokers(name: &str, config: &RabbitConfig) -> Brokers {
    let broker = RabbitBroker::start(machine(name), config.clone());
    timeout(Duration::from_secs(20), broker.connected()).await.expect("RabbitMQ answers");
    Brokers::one(broker)
}
