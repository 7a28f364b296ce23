//! What a program says of an engine that it was built with, or without.

use super::*;

fn config(broker: &str, table: &str) -> ClusterConfig {
    let text = format!(
        "[topology]\ngateways = [\"127.0.0.1:1\"]\nstores = [\"127.0.0.1:2\"]\nauth = \"127.0.0.1:3\"\n\
         [engine]\nbroker = {broker:?}\n[engine.{broker}]\n{table}"
    );
    ClusterConfig::read(&text, "cluster.toml").expect("a configuration")
}

#[test]
#[cfg(not(feature = "kafka"))]
fn a_program_without_kafka_says_how_to_build_one_with_it() {
    let refused = OutsideBroker::of(&config("kafka", "servers = [\"127.0.0.1:4\"]\n"));
    let InvalidUsage(why) = refused.expect_err("there is no Kafka in this program");
    assert!(why.contains("--features kafka"), "{why}");
}

#[test]
#[cfg(all(feature = "kafka", not(feature = "kafka-tls")))]
fn a_program_without_encryption_for_kafka_says_how_to_build_one_with_it() {
    let servers = "servers = [\"127.0.0.1:4\"]\n";
    assert!(OutsideBroker::of(&config("kafka", servers)).is_ok());
    let user = "user = \"u\"\npassword = \"p\"\nmechanism = \"scram-sha-256\"\n";
    for more in ["tls = true\n", user] {
        let refused = OutsideBroker::of(&config("kafka", &format!("{servers}{more}")));
        let InvalidUsage(why) = refused.expect_err("there is no encryption in this program");
        assert!(why.contains("--features kafka-tls"), "{why}");
    }
}

#[test]
#[cfg(feature = "kafka")]
fn a_file_that_is_not_there_is_named() {
    let table = "servers = [\"127.0.0.1:4\"]\ntls = true\nauthority = \"no-such-file.pem\"\n";
    let InvalidUsage(why) = OutsideBroker::of(&config("kafka", table)).expect_err("no file");
    assert!(why.contains("engine.kafka.authority: cannot read no-such-file.pem"), "{why}");
}
