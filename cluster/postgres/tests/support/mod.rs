//! The PostgreSQL that `cargo xtask engines` has started, and adapters of it.

use ports::Entropy;
use ports::message_store::MessageStore;
use postgres::{PostgresConfig, PostgresStore, Timing};

/// What `cargo xtask engines` says about it.
pub fn told(variable: &str) -> String {
    std::env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} is not set: run `cargo xtask engines postgres`"))
}

/// A name that nobody has used.
pub fn schema() -> String {
    format!("test_{:016x}", real::SystemEntropy.next_u64())
}

/// The way to the database, with tables in a schema of this name.
pub fn config(schema: &str) -> PostgresConfig {
    PostgresConfig {
        hosts: vec![told("FRACAS_POSTGRES")],
        database: "chat".into(),
        user: "chat".into(),
        password: told("FRACAS_POSTGRES_PASSWORD").as_str().into(),
        schema: schema.to_owned(),
        tls: false,
        authority: None,
        connections: 8,
        synchronous_commit: true,
        partitions: 16,
        timing: Timing::default(),
    }
}

/// One adapter; it has connected.
pub fn started(name: &str, config: &PostgresConfig) -> PostgresStore {
    // What the adapter says stands beside a failure. Only the first call sets it up.
    let _ = tracing_subscriber::fmt().with_test_writer().try_init();
    let store = PostgresStore::start(name, config).expect("the configuration is good");
    drop(store.view().expect("PostgreSQL answers"));
    store
}
