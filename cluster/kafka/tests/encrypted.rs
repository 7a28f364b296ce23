//! Encrypted connections, and who connects: against the instance of `cargo xtask engines`.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use kafka::{Credentials, Encryption, KafkaBroker, KafkaConfig, Mechanism};
use ports::broker::conformance::{PARTITION, consume, numbers, publish, take};
use std::time::Duration;
use support::{brokers, config, machine, prefix, told};
use tokio::time::timeout;

/// The way in that is encrypted.
fn encrypted(authority: Option<String>) -> KafkaConfig {
    KafkaConfig {
        servers: vec![told("FRACAS_KAFKA_ENCRYPTED")],
        encryption: Some(Encryption { authority }),
        ..config(&prefix())
    }
}

fn authority() -> Option<String> {
    Some(std::fs::read_to_string(told("FRACAS_KAFKA_AUTHORITY")).unwrap())
}

async fn is_refused(config: &KafkaConfig) {
    let stranger = KafkaBroker::start(machine("gateway-1"), config).unwrap();
    assert!(timeout(Duration::from_secs(5), stranger.connected()).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn encrypted_connections_are_made_to_trusted_brokers_only() {
    is_refused(&encrypted(None)).await;
    let client = brokers("gateway-2", &encrypted(authority())).await;
    publish(&client, PARTITION, 0..1).await;
    let mut consumer = consume(&client, PARTITION, 10).await;
    assert_eq!(numbers(&take(&mut *consumer, 1).await), [0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_known_by_its_password() {
    let as_user = |password: &str| KafkaConfig {
        servers: vec![told("FRACAS_KAFKA_USERS")],
        credentials: Some(Credentials {
            mechanism: Mechanism::ScramSha512,
            user: "chat".into(),
            password: password.into(),
        }),
        ..encrypted(authority())
    };
    is_refused(&as_user("wrong")).await;
    let client = brokers("gateway-2", &as_user("a-secret")).await;
    publish(&client, PARTITION, 0..1).await;
}

#[test]
fn an_authority_that_is_none_is_refused_at_once() {
    let nonsense = encrypted(Some("no certificate".into()));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let _entered = runtime.enter();
    assert!(KafkaBroker::start(machine("gateway-1"), &nonsense).is_err());
}
