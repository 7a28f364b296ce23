//! Kafka in the configuration.

use super::super::*;
use super::{NODES, on_outside, read};

#[test]
fn kafka_is_reached_as_the_file_says() {
    let table = "\
[engine.kafka]
servers = [\"k-1.example:9096\", \"k-2.example:9096\"]
prefix = \"chat\"
replication = 2
acks = \"leader\"
user = \"chat\"
password = \"hush\"
mechanism = \"scram-sha-512\"
tls = true
authority = \"ca.pem\"
";
    let config = read(&on_outside("kafka", table)).unwrap();
    assert_eq!(config.engine.broker, BrokerChoice::Kafka);
    let expected = Kafka {
        servers: vec!["k-1.example:9096".into(), "k-2.example:9096".into()],
        prefix: "chat".into(),
        replication: 2,
        acks: Acks::Leader,
        user: Some("chat".into()),
        password: Some("hush".into()),
        mechanism: SaslMechanism::ScramSha512,
        tls: true,
        authority: Some("ca.pem".into()),
    };
    assert_eq!(config.engine.kafka, Some(expected));
    let plain = read(&on_outside("kafka", "[engine.kafka]\nservers = [\"k:1\"]\n")).unwrap();
    let plain = plain.engine.kafka.unwrap();
    assert_eq!(plain.acks, Acks::All);
    assert_eq!((plain.prefix.as_str(), plain.replication, plain.tls), ("fracas", 3, false));
}

#[test]
fn what_does_not_go_together_with_kafka_is_told() {
    let kafka = "[engine.kafka]\nservers = [\"a:1\"]\n";
    let on_kafka = |engine: &str| on_outside("kafka", engine);
    for (text, told) in [
        (on_kafka(""), "the table is needed"),
        (format!("{NODES}[engine]\nbroker = \"memory\"\n{kafka}"), "alone"),
        (format!("{NODES}[engine]\nbroker = \"kafka\"\n{kafka}"), "none beside Kafka"),
        (on_outside("rabbitmq", kafka), "engine.kafka: it is for"),
        (on_kafka(&format!("{kafka}prefix = \"a.b\"\n")), "found \"a.b\""),
        (on_kafka(&format!("{kafka}authority = \"ca.pem\"\n")), "tls = true"),
        (on_kafka(&format!("{kafka}user = \"u\"\n")), "a password"),
        (on_kafka(&format!("{kafka}mechanism = \"scram-sha-256\"\n")), "for a user alone"),
        (on_kafka(&format!("{kafka}replication = 0\n")), "replication"),
        (on_kafka(&kafka.replace("\"a:1\"", "")), "at least one is needed"),
    ] {
        let mistakes = read(&text).unwrap_err();
        assert!(mistakes.contains(told), "{text}\n{mistakes}");
    }
}
