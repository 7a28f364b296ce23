//! The Cassandra that `cargo xtask engines` has started, and adapters of it.

use cassandra::{CassandraConfig, CassandraStore, Timing};
use ports::Entropy;
use ports::message_store::{MessageStore, StoreError};
use std::time::Duration;

/// What `cargo xtask engines` says about it.
pub fn told(variable: &str) -> String {
    std::env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} is not set: run `cargo xtask engines cassandra`"))
}

/// A name that nobody has used.
pub fn keyspace() -> String {
    format!("test_{:016x}", real::SystemEntropy.next_u64())
}

/// The way to Cassandra, with tables in a keyspace of this name.
pub fn config(keyspace: &str) -> CassandraConfig {
    CassandraConfig {
        hosts: vec![told("FRACAS_CASSANDRA")],
        keyspace: keyspace.to_owned(),
        replication: 1,
        user: None,
        partitions: 16,
        timing: Timing::default(),
    }
}

/// One adapter; it has connected.
pub fn started(config: &CassandraConfig) -> CassandraStore {
    // What the adapter says stands beside a failure. Only the first call sets it up.
    let _ = tracing_subscriber::fmt().with_test_writer().try_init();
    let instance = real::SystemEntropy.next_u64();
    let store = CassandraStore::start(config.clone(), instance).expect("there are threads");
    // With times that are short for a test, making the tables may take several attempts.
    const ATTEMPTS: usize = 60;
    let has_begun = (0..ATTEMPTS).any(|_| match store.view().map(|_| ()) {
        Ok(()) => true,
        Err(StoreError::Unavailable(_)) => {
            std::thread::sleep(Duration::from_millis(500));
            false
        }
        Err(error) => panic!("{error}"),
    });
    assert!(has_begun, "Cassandra does not answer");
    store
}
