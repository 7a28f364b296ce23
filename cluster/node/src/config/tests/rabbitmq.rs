//! RabbitMQ in the configuration.

use super::super::*;
use super::{NODES, on_outside, read};

/// A cluster whose messages RabbitMQ keeps.
fn on_rabbitmq(engine: &str) -> String {
    on_outside("rabbitmq", engine)
}

#[test]
fn rabbitmq_is_reached_as_the_file_says() {
    let table = "\
[engine.rabbitmq]
addresses = [\"mq-1.example:5671\", \"mq-2.example:5671\"]
user = \"chat\"
password = \"hush\"
tls = true
authority = \"ca.pem\"
management = \"127.0.0.1:15672\"
";
    let config = read(&on_rabbitmq(table)).unwrap();
    assert_eq!(config.engine.broker, BrokerChoice::RabbitMq);
    assert_eq!(config.topology.brokers, Vec::<String>::new());
    let expected = RabbitMq {
        addresses: vec!["mq-1.example:5671".into(), "mq-2.example:5671".into()],
        user: "chat".into(),
        password: "hush".into(),
        virtual_host: "/".into(),
        tls: true,
        authority: Some("ca.pem".into()),
        prefix: "fracas".into(),
        quorum_queues: true,
        management: Some("127.0.0.1:15672".into()),
    };
    assert_eq!(config.engine.rabbitmq, Some(expected));
}

#[test]
fn what_does_not_go_together_with_rabbitmq_is_told() {
    let rabbitmq = "[engine.rabbitmq]\naddresses = [\"a:1\"]\nuser = \"u\"\npassword = \"p\"\n";
    for (text, told) in [
        (on_rabbitmq(""), "the table is needed"),
        (format!("{NODES}[engine]\nbroker = \"memory\"\n{rabbitmq}"), "alone"),
        (format!("{NODES}[engine]\nbroker = \"rabbitmq\"\n{rabbitmq}"), "none beside RabbitMQ"),
        (on_rabbitmq(&format!("{rabbitmq}prefix = \"a.b\"\n")), "found \"a.b\""),
        (on_rabbitmq(&format!("{rabbitmq}authority = \"ca.pem\"\n")), "tls = true"),
        (on_rabbitmq(&rabbitmq.replace("\"a:1\"", "")), "at least one is needed"),
    ] {
        let mistakes = read(&text).unwrap_err();
        assert!(mistakes.contains(told), "{text}\n{mistakes}");
    }
}
