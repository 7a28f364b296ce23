//! What another reader of a queue sees of a traced message. Against the instance of `cargo xtask engines`.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use futures_util::StreamExt;
use lapin::options::BasicConsumeOptions;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Connection, ConnectionProperties};
use ports::broker::Brokers;
use ports::{Machine, Span, Traces};
use protocol::records::{Action, Inbound, SessionRef, encode};
use protocol::trace::Sampler;
use protocol::{
    ClientMessageId, ConversationId, GatewayId, Incarnation, Partition, SessionId, UserId,
};
use rabbitmq::RabbitBroker;
use std::sync::Arc;
use std::time::Duration;
use support::{brokers, config, machine, prefix, told};
use tokio::time::timeout;

/// Traces everything, and sends it nowhere.
struct All;

impl Traces for All {
    fn sampler(&self) -> Sampler {
        Sampler::one_in(1, "test")
    }

    fn span(&self, _: Span) {}
}

/// The header of the first message in a queue.
async fn header(queue: &str) -> Option<String> {
    let address = format!("amqp://guest:guest@{}/%2f", told("FRACAS_RABBITMQ"));
    let connection = Connection::connect(&address, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
    let consumed = channel.basic_consume(queue.into(), "reader".into(), options, arguments);
    let delivery = consumed.await.unwrap().next().await.expect("a message").unwrap();
    let properties = delivery.properties;
    let headers = properties.headers().clone()?;
    match headers.inner().get("traceparent")? {
        AMQPValue::LongString(text) => Some(String::from_utf8_lossy(text.as_bytes()).into_owned()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_reader_of_a_queue_knows_what_it_continues() {
    let session = SessionId(3);
    let from = SessionRef { gateway: GatewayId(1), incarnation: Incarnation(2), session };
    let record = encode(&Inbound {
        from,
        author: UserId(4),
        conversation: ConversationId(5),
        client_message_id: ClientMessageId(6),
        action: Action::Send { body: "hello".to_owned(), reply_to: None, format: 1 },
    });
    let expected = All.sampler().parent_of_inbound(&record).unwrap().to_string();
    let [traced, plain] = [(); 2].map(|()| config(&prefix()));
    let machine = Machine { traces: Arc::new(All), ..machine("gateway-1") };
    let broker = RabbitBroker::start(machine, traced.clone());
    timeout(Duration::from_secs(20), broker.connected()).await.expect("RabbitMQ answers");
    let ways = [
        (Brokers::one(broker), traced, Some(expected)),
        (brokers("gateway-2", &plain).await, plain, None),
    ];
    for (brokers, config, expected) in ways {
        let confirmed = brokers.inbound.publish(vec![(Partition(7), record.clone())]).await;
        assert_eq!(confirmed, [Ok(())]);
        assert_eq!(header(&format!("{}.inbound.7", config.prefix)).await, expected);
    }
}
