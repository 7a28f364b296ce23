//! When a consumer that gets nothing is consumed anew, and when it is left alone. Against the instance of
//! `cargo xtask engines`.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod control;
mod support;

use control::control;
use fakes::FakeTelemetry;
use ports::Machine;
use ports::broker::conformance::{
    PARTITION, QUEUE, consume, consume_jobs, numbers, publish, publish_jobs, take, take_jobs,
};
use ports::broker::{Brokers, ConsumerLost, InboundConsumer, JobSettlement};
use rabbitmq::{RabbitBroker, RabbitConfig};
use std::sync::Arc;
use std::time::Duration;
use support::{brokers, config, machine, prefix};
use tokio::time::timeout;

/// Longer than two questions and their answers take.
const LONG: Duration = Duration::from_secs(10);

/// An adapter, connected, and what it counts.
async fn counting(config: &RabbitConfig) -> (Brokers, Arc<FakeTelemetry>) {
    let telemetry = Arc::new(FakeTelemetry::default());
    let machine = Machine { telemetry: telemetry.clone(), ..machine("store-1") };
    let broker = RabbitBroker::start(machine, config.clone());
    timeout(LONG, broker.connected()).await.unwrap();
    (Brokers::one(broker), telemetry)
}

/// The leader of a queue hears that the node of its consumers is lost, and not that it is there, as can happen
/// after a failover. The first time it looks for itself (`ra_monitors`: a node that it did not watch before).
fn forget_consumers(queue: &str) {
    control(&[
        "eval",
        &format!(
            "{{ok, Queue}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<\"/\">>, queue, <<\"{queue}\">>)),
            Leader = amqqueue:get_pid(Queue),
            {{ok, {{_, All}}, _}} = ra:local_query(Leader, fun rabbit_fifo:query_consumers/1),
            [begin
                 {{ok, _, _}} = ra:process_command(Leader, {{down, Pid, noconnection}}),
                 timer:sleep(500)
             end || _ <- [1, 2], {{_, Pid}} <- maps:keys(All)]."
        ),
    ]);
}

/// Whatever comes again until the consumer is lost.
async fn until_lost(consumer: &mut dyn InboundConsumer) {
    let lost = async { while consumer.next().await.is_ok() {} };
    timeout(LONG, lost).await.expect("noticed in time");
}

async fn is_left_alone(consumer: &mut dyn InboundConsumer) {
    let next = timeout(LONG, consumer.next()).await;
    assert!(next.is_err(), "unexpected: {next:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_consumer_is_replaced() {
    let config = config(&prefix());
    let (client, telemetry) = counting(&config).await;
    publish(&client, PARTITION, 0..4).await;
    let mut consumer = consume(&client, PARTITION, 100).await;
    let deliveries = take(&mut *consumer, 4).await;
    consumer.acknowledge(deliveries[1].position);
    forget_consumers(&format!("{}.inbound.{PARTITION}", config.prefix));
    publish(&client, PARTITION, 4..6).await;
    until_lost(&mut *consumer).await;
    assert_eq!(telemetry.counted("broker_consumers_renewed"), 1);
    drop(consumer);
    let mut consumer = consume(&client, PARTITION, 100).await;
    assert_eq!(numbers(&take(&mut *consumer, 4).await), [2, 3, 4, 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_owner_and_an_empty_queue_are_left_alone() {
    let (client, telemetry) = counting(&config(&prefix())).await;
    publish(&client, PARTITION, 0..4).await;
    let mut consumer = consume(&client, PARTITION, 2).await;
    let deliveries = take(&mut *consumer, 2).await;
    // Two more are ready, and there is no room for them.
    is_left_alone(&mut *consumer).await;
    consumer.acknowledge(deliveries[1].position);
    let deliveries = take(&mut *consumer, 2).await;
    assert_eq!(numbers(&deliveries), [2, 3]);
    consumer.acknowledge(deliveries[1].position);
    is_left_alone(&mut *consumer).await;
    assert_eq!(telemetry.counted("broker_consumers_renewed"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_waits_for_another_one_may_begin_anew_without_harm() {
    let config = config(&prefix());
    let here = brokers("store-1", &config).await;
    let (there, telemetry) = counting(&config).await;
    publish(&here, PARTITION, 0..4).await;
    let mut active = consume(&here, PARTITION, 2).await;
    take(&mut *active, 2).await;
    let mut waiting = consume(&there, PARTITION, 100).await;
    let lost = timeout(LONG, waiting.next()).await.expect("it cannot know why nothing comes");
    assert_eq!(lost, Err(ConsumerLost));
    assert_eq!(telemetry.counted("broker_consumers_renewed"), 1);
    drop(waiting);
    let mut waiting = consume(&there, PARTITION, 100).await;
    drop(active);
    assert_eq!(numbers(&take(&mut *waiting, 4).await), [0, 1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_in_hand_come_again_when_their_consumer_is_replaced() {
    let config = config(&prefix());
    let (client, _) = counting(&config).await;
    publish_jobs(&client, QUEUE, 0..3).await;
    let mut consumer = consume_jobs(&client, QUEUE, 100).await;
    let jobs = take_jobs(&mut *consumer, 3).await;
    consumer.settle(vec![JobSettlement::Done { tag: jobs[1].1.tag }]);
    forget_consumers(&format!("{}.notify.{QUEUE}", config.prefix));
    publish_jobs(&client, QUEUE, 3..4).await;
    let lost = async { while consumer.next().await.is_ok() {} };
    timeout(LONG, lost).await.expect("noticed in time");
    drop(consumer);
    let mut consumer = consume_jobs(&client, QUEUE, 100).await;
    let again: Vec<u32> = take_jobs(&mut *consumer, 3).await.iter().map(|job| job.0).collect();
    assert_eq!(again, [0, 2, 3]);
}
