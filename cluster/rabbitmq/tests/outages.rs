//! What becomes of publishes and consumers when RabbitMQ is killed, is away, or has no room; and what
//! the promises rest on. Against the instance of `cargo xtask engines`, which starts it again when it
//! ends.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod control;
mod patience;
mod support;

use control::control;
use fakes::FakeTelemetry;
use lapin::options::ExchangeDeleteOptions;
use patience::{PATIENCE, patiently};
use ports::Machine;
use ports::broker::conformance::dead_letters::dead;
use ports::broker::conformance::{
    PARTITION, QUEUE, consume, consume_jobs, fanout, listed, numbers, publish, take, text,
};
use ports::broker::{Brokers, ConsumeError, ConsumerLost, InboundOptions, Job, PublishError};
use protocol::limits::BrokerLimits;
use protocol::{Epoch, Partition};
use rabbitmq::RabbitBroker;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use support::{brokers, config, machine, prefix, told};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

/// One test at a time does something to the one RabbitMQ.
static ALONE: Mutex<()> = Mutex::const_new(());
/// RabbitMQ 3.10 on one node: a queue that was made less than about a second before the process was killed is
/// there again afterwards, but elects no leader, for ever (docs/engines.md).
const QUEUE_SETTLED: Duration = Duration::from_secs(3);

fn batch(numbers: std::ops::Range<u32>) -> Vec<(protocol::Partition, bytes::Bytes)> {
    numbers.map(|n| (PARTITION, text(n))).collect()
}

/// As a power failure of its process: nothing is said to anybody.
fn kill() {
    let id = std::fs::read_to_string(told("FRACAS_RABBITMQ_PID")).unwrap();
    let killed = Command::new("kill").args(["-KILL", id.trim()]).status().unwrap();
    assert!(killed.success());
}

/// Publishes until it is confirmed, as gateways do.
async fn persistently(brokers: &Brokers, n: u32) {
    let attempts = async { while brokers.inbound.publish(batch(n..n + 1)).await != [Ok(())] {} };
    timeout(PATIENCE, attempts).await.expect("confirmed at last");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_broker_has_everything_confirmed() {
    let _alone = ALONE.lock().await;
    let config = config(&prefix());
    let client = brokers("store-1", &config).await;
    publish(&client, PARTITION, 0..4).await;
    sleep(QUEUE_SETTLED).await;
    let mut consumer = consume(&client, PARTITION, 2).await;
    let deliveries = take(&mut *consumer, 2).await;
    consumer.acknowledge(deliveries[0].position);
    take(&mut *consumer, 1).await;
    // What is under way when it dies ends as unknown: it may be there or not.
    let under_way = client.inbound.publish(batch(4..5));
    kill();
    let lost = timeout(PATIENCE, consumer.next()).await.expect("noticed in time");
    assert_eq!(lost, Err(ConsumerLost));
    // Acknowledging from a lost consumer is harmless.
    consumer.acknowledge(u64::MAX);
    let confirmed = under_way.await;
    persistently(&client, 5).await;
    let mut consumer = patiently(&client, PARTITION).await;
    let mut arrived = Vec::new();
    while arrived.last() != Some(&5) {
        arrived.extend(numbers(&timeout(PATIENCE, consumer.next()).await.unwrap().unwrap()));
    }
    // The first acknowledgement may be lost with the connection; nothing else may.
    if arrived.first() == Some(&0) {
        arrived.remove(0);
    }
    if confirmed == [Err(PublishError::Unknown)] && arrived.contains(&4) {
        arrived.retain(|n| *n != 4);
    }
    let kept: &[u32] = if confirmed == [Ok(())] { &[1, 2, 3, 4, 5] } else { &[1, 2, 3, 5] };
    arrived.dedup();
    assert_eq!(arrived, kept, "{confirmed:?}");
}

/// The broker takes nothing until this is dropped.
struct WithoutRoom;

impl WithoutRoom {
    fn new() -> Self {
        control(&["set_vm_memory_high_watermark", "0"]);
        Self
    }
}

impl Drop for WithoutRoom {
    fn drop(&mut self) {
        control(&["set_vm_memory_high_watermark", "0.6"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_without_room_confirms_nothing_and_loses_nothing() {
    let _alone = ALONE.lock().await;
    let client = brokers("store-1", &config(&prefix())).await;
    publish(&client, PARTITION, 0..3).await;
    let mut consumer = consume(&client, PARTITION, 10).await;
    let deliveries = take(&mut *consumer, 3).await;
    let without_room = WithoutRoom::new();
    // The broker says so to whoever publishes. The first publish finds it out; the next ones are not sent.
    let first = client.inbound.publish(batch(3..4)).await;
    assert_eq!(first, [Err(PublishError::Unknown)]);
    let began = Instant::now();
    let second = client.inbound.publish(batch(4..5)).await;
    assert_eq!(second, [Err(PublishError::Unknown)]);
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    // Acknowledgements, which make room, go through: they have a connection of their own.
    consumer.acknowledge(deliveries[2].position);
    drop(consumer);
    let mut consumer = consume(&client, PARTITION, 10).await;
    assert!(timeout(Duration::from_millis(500), consumer.next()).await.is_err());
    drop(without_room);
    persistently(&client, 5).await;
    // What was on its way arrives now, once; what was not sent does not.
    let mut arrived = Vec::new();
    while arrived.last() != Some(&5) {
        arrived.extend(numbers(&timeout(PATIENCE, consumer.next()).await.unwrap().unwrap()));
    }
    assert_eq!(arrived, [3, 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_broker_everything_ends_in_time() {
    let mut config = config(&prefix());
    // Nobody listens on the first port of loopback.
    config.addresses = vec!["127.0.0.1:1".into()];
    let client = Brokers::one(RabbitBroker::start(machine("gateway-1"), config));
    let began = Instant::now();
    assert_eq!(client.inbound.publish(batch(0..1)).await, [Err(PublishError::Unknown)]);
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    let options = InboundOptions { prefetch: 1, epoch: Epoch(1) };
    let refused = client.inbound.consume(PARTITION, options).await.err();
    assert_eq!(refused, Some(ConsumeError::Unavailable));
    assert!(client.dead_letters.list(0, 1).await.is_err());
    assert!(client.fanout.publish(Vec::new()).await.is_ok());
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_address_is_found() {
    let _alone = ALONE.lock().await;
    let mut config = config(&prefix());
    config.addresses.insert(0, "127.0.0.1:1".into());
    let client = brokers("gateway-1", &config).await;
    publish(&client, PARTITION, 0..1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn encrypted_connections_are_made_to_trusted_brokers_only() {
    let _alone = ALONE.lock().await;
    let mut config = config(&prefix());
    config.addresses = vec![told("FRACAS_RABBITMQ_ENCRYPTED")];
    config.tls = true;
    let stranger = RabbitBroker::start(machine("gateway-1"), config.clone());
    assert!(timeout(Duration::from_secs(3), stranger.connected()).await.is_err());
    config.authority = Some(std::fs::read_to_string(told("FRACAS_RABBITMQ_AUTHORITY")).unwrap());
    let client = brokers("gateway-2", &config).await;
    publish(&client, PARTITION, 0..1).await;
    let mut consumer = consume(&client, PARTITION, 10).await;
    assert_eq!(numbers(&take(&mut *consumer, 1).await), [0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_refuses_and_a_full_queue_of_jobs_gives_its_oldest_up() {
    let _alone = ALONE.lock().await;
    let mut config = config(&prefix());
    config.limits = BrokerLimits {
        durable_queue_messages: 3,
        notify_queue_messages: 3,
        ..BrokerLimits::default()
    };
    let telemetry = Arc::new(FakeTelemetry::default());
    let counting = Machine { telemetry: telemetry.clone(), ..machine("store-1") };
    let broker = RabbitBroker::start(counting, config);
    timeout(PATIENCE, broker.connected()).await.unwrap();
    let client = Brokers::one(broker);
    // RabbitMQ counts what it holds a moment late, so one more may get in.
    let mut refused = 0;
    for n in 0..20 {
        match client.inbound.publish(batch(n..n + 1)).await[..] {
            [Ok(())] => {}
            [Err(PublishError::Full)] => refused += 1,
            ref other => panic!("{other:?}"),
        }
    }
    assert!((14..=17).contains(&refused), "{refused} of 20 refused");
    for n in 0..6 {
        let job = Job { queue: QUEUE, message: text(n) };
        assert_eq!(client.jobs.publish(vec![job]).await, [Ok(())]);
    }
    let mut consumer = consume_jobs(&client, QUEUE, 10).await;
    let mut jobs = Vec::new();
    while jobs.len() < 3 {
        jobs.extend(timeout(PATIENCE, consumer.next()).await.unwrap().unwrap());
    }
    let kept: Vec<_> = jobs.into_iter().map(|job| job.message).collect();
    assert_eq!(kept, [text(3), text(4), text(5)]);
    let counted = async {
        while telemetry.counted("broker_shed_notifications") != 3 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, counted).await.expect("what gave way is counted");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_for_a_queue_that_was_deleted_are_brought_back() {
    let _alone = ALONE.lock().await;
    let config = config(&prefix());
    let client = brokers("store-1", &config).await;
    publish(&client, PARTITION, 0..1).await;
    control(&["delete_queue", &format!("{}.inbound.{PARTITION}", config.prefix)]);
    // Confirmed: then it must arrive.
    publish(&client, PARTITION, 1..3).await;
    let mut consumer = consume(&client, PARTITION, 10).await;
    assert_eq!(numbers(&take(&mut *consumer, 2).await), [1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_that_was_deleted_is_made_again() {
    let _alone = ALONE.lock().await;
    let config = config(&prefix());
    let client = brokers("store-1", &config).await;
    publish(&client, PARTITION, 0..1).await;
    let uri = format!("amqp://guest:guest@{}/%2f", config.addresses[0]);
    let by_hand = lapin::Connection::connect(&uri, lapin::ConnectionProperties::default());
    let channel = by_hand.await.unwrap().create_channel().await.unwrap();
    let exchange = format!("{}.durable", config.prefix);
    channel.exchange_delete(exchange.into(), ExchangeDeleteOptions::default()).await.unwrap();
    // What was on its way is unknown, and whoever sent it sends it again.
    persistently(&client, 1).await;
    persistently(&client, 2).await;
    let mut consumer = consume(&client, PARTITION, 10).await;
    assert_eq!(numbers(&take(&mut *consumer, 3).await), [0, 1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_outlive_a_kill() {
    let _alone = ALONE.lock().await;
    let client = brokers("store-1", &config(&prefix())).await;
    for n in 1..200 {
        assert_eq!(client.dead_letters.put(dead(n)).await, Ok(()));
    }
    let before = listed(&client, 199).await;
    kill();
    let after = async {
        loop {
            match client.dead_letters.list(0, 1_000).await {
                Ok(listed) if listed.len() == 199 => return listed,
                _ => sleep(Duration::from_millis(100)).await,
            }
        }
    };
    assert_eq!(timeout(PATIENCE, after).await.expect("RabbitMQ is back"), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_loses_its_queue_gets_another_one() {
    let _alone = ALONE.lock().await;
    let client = brokers("gateway-1", &config(&prefix())).await;
    let life = fanout::life(1, 1);
    let mut gateway = fanout::consume(&client, life).await;
    kill();
    let lost = timeout(PATIENCE, gateway.next()).await.expect("noticed in time");
    assert_eq!(lost.err(), Some(ConsumerLost));
    let again = async {
        loop {
            if let Ok(consumer) = client.fanout.consume(life, 100).await {
                return consumer;
            }
        }
    };
    let mut gateway = timeout(PATIENCE, again).await.expect("RabbitMQ is back");
    fanout::publish(&client, life, 7..9).await;
    assert_eq!(fanout::take(&mut *gateway, 2).await, [7, 8]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_gives_up_leaves_nothing_behind() {
    let _alone = ALONE.lock().await;
    let client = brokers("store-1", &config(&prefix())).await;
    publish(&client, PARTITION, 0..5).await;
    let options = InboundOptions { prefetch: 100, epoch: Epoch(1) };
    for n in 0..50 {
        assert_eq!(client.dead_letters.put(dead(n)).await, Ok(()));
    }
    // Somewhere between the first question and the last answer.
    for step in 0..100 {
        let soon = Duration::from_micros(step * 200);
        let _ = timeout(soon, client.inbound.consume(PARTITION, options)).await;
        let _ = timeout(soon, client.dead_letters.list(0, 100)).await;
        assert_eq!(client.dead_letters.list(0, 100).await.unwrap().len(), 50, "{soon:?}");
    }
    let mut consumer = consume(&client, PARTITION, 100).await;
    assert_eq!(numbers(&take(&mut *consumer, 5).await), [0, 1, 2, 3, 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_node_held_that_goes_away_comes_first() {
    let _alone = ALONE.lock().await;
    let config = config(&prefix());
    let there = brokers("store-2", &config).await;
    for partition in (0..10).map(Partition) {
        let here = brokers("store-1", &config).await;
        publish(&here, partition, 0..6).await;
        let mut held = consume(&here, partition, 3).await;
        take(&mut *held, 3).await;
        let mut waiting = consume(&there, partition, 100).await;
        drop((here, held));
        let deliveries = take(&mut *waiting, 6).await;
        assert_eq!(numbers(&deliveries), [0, 1, 2, 3, 4, 5], "partition {partition}");
    }
}
