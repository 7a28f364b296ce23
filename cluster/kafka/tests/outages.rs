//! What becomes of publishes and consumers when Kafka is killed, stopped or away, when another consumer comes,
//! and when there is too much. Against the instance of `cargo xtask engines`, which starts it again when
//! it ends.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

#[path = "outages/queues.rs"]
mod queues;
mod support;

use kafka::KafkaBroker;
use ports::broker::conformance::{PARTITION, QUEUE, consume, fanout, numbers, publish, take, text};
use ports::broker::{
    Brokers, ConsumeError, ConsumerLost, InboundConsumer, InboundOptions, PublishError,
};
use protocol::Epoch;
use std::process::Command;
use std::time::Duration;
use support::{brokers, config, machine, prefix, told};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

/// One test at a time does something to the one Kafka.
static ALONE: Mutex<()> = Mutex::const_new(());
const PATIENCE: Duration = Duration::from_mins(1);

fn batch(numbers: std::ops::Range<u32>) -> Vec<(protocol::Partition, bytes::Bytes)> {
    numbers.map(|n| (PARTITION, text(n))).collect()
}

/// Something that nothing is said about to Kafka's clients.
fn signal(signal: &str) {
    let id = std::fs::read_to_string(told("FRACAS_KAFKA_PID")).unwrap();
    let done = Command::new("kill").args([signal, id.trim()]).status().unwrap();
    assert!(done.success());
}

/// Publishes until it is confirmed, as gateways do.
async fn persistently(brokers: &Brokers, n: u32) {
    let attempts = async {
        while brokers.inbound.publish(batch(n..n + 1)).await != [Ok(())] {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, attempts).await.expect("confirmed at last");
}

async fn consumer_of(
    brokers: &Brokers,
    epoch: u64,
) -> Result<Box<dyn InboundConsumer>, ConsumeError> {
    let options = InboundOptions { prefetch: 100, epoch: Epoch(epoch) };
    brokers.inbound.consume(PARTITION, options).await
}

/// Consumes, however long it takes.
async fn patiently(brokers: &Brokers) -> Box<dyn InboundConsumer> {
    let attempts = async {
        loop {
            if let Ok(consumer) = consumer_of(brokers, 1).await {
                return consumer;
            }
        }
    };
    timeout(PATIENCE, attempts).await.expect("Kafka is back")
}

/// Whatever arrives, up to this number.
async fn arrived_through(consumer: &mut dyn InboundConsumer, last: u32) -> Vec<u32> {
    let mut arrived = Vec::new();
    while arrived.last() != Some(&last) {
        let next = timeout(PATIENCE, consumer.next()).await.expect("in time");
        arrived.extend(numbers(&next.unwrap()));
    }
    arrived
}

/// A single publish was under way: if it is not known to be there it may be, once.
fn without_the_unclear(
    mut arrived: Vec<u32>,
    n: u32,
    confirmed: &[Result<(), PublishError>],
) -> Vec<u32> {
    if confirmed == [Err(PublishError::Unknown)]
        && arrived.iter().filter(|it| **it == n).count() == 1
    {
        arrived.retain(|it| *it != n);
    }
    arrived
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_broker_has_everything_confirmed_once_and_in_order() {
    let _alone = ALONE.lock().await;
    let client = brokers("store-1", &config(&prefix())).await;
    publish(&client, PARTITION, 0..1_000).await;
    let mut consumer = consume(&client, PARTITION, 2_000).await;
    let deliveries = take(&mut *consumer, 1_000).await;
    consumer.acknowledge(deliveries[899].position);
    // Committed within this.
    sleep(Duration::from_secs(1)).await;
    let under_way = client.inbound.publish(batch(1_000..1_001));
    signal("-KILL");
    let began = Instant::now();
    let confirmed = timeout(PATIENCE, under_way).await.expect("in time");
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    persistently(&client, 1_001).await;
    // The same consumer goes on: its client has found Kafka again.
    let arrived = arrived_through(&mut *consumer, 1_001).await;
    let clear = without_the_unclear(arrived, 1_000, &confirmed);
    let expected: &[u32] = if confirmed == [Ok(())] { &[1_000, 1_001] } else { &[1_001] };
    assert_eq!(clear, expected, "{confirmed:?}");
    drop(consumer);
    // What was not acknowledged comes again, in its order, and nothing else.
    let mut next = patiently(&client).await;
    let arrived = arrived_through(&mut *next, 999).await;
    assert_eq!(arrived, (900..1_000).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_confirmed_under_a_kill_is_there_once_and_in_order() {
    let _alone = ALONE.lock().await;
    let client = brokers("gateway-1", &config(&prefix())).await;
    publish(&client, PARTITION, 0..1).await;
    // Batches without a pause between them, from before the kill until after Kafka is back.
    let (mut under_way, mut next, mut killed) = (Vec::new(), 1, None);
    let enough = Duration::from_secs(4);
    while killed.is_none_or(|killed: Instant| killed.elapsed() < enough) {
        under_way.push((next..next + 5, client.inbound.publish(batch(next..next + 5))));
        next += 5;
        sleep(Duration::from_millis(2)).await;
        if next > 500 && killed.is_none() {
            signal("-KILL");
            killed = Some(Instant::now());
        }
    }
    let (mut confirmed, mut unclear) = (vec![0], 0);
    for (numbers, confirms) in under_way {
        let confirms = timeout(Duration::from_secs(20), confirms).await.expect("in time");
        for (n, confirm) in numbers.zip(confirms) {
            match confirm {
                Ok(()) => confirmed.push(n),
                Err(PublishError::Unknown) => unclear += 1,
                Err(PublishError::Full) => panic!("there is room"),
            }
        }
    }
    persistently(&client, next).await;
    confirmed.push(next);
    let mut consumer = patiently(&client).await;
    let mut arrived = Vec::new();
    while arrived.last() != Some(&next) {
        let batch = timeout(PATIENCE, consumer.next()).await.expect("in time").unwrap();
        consumer.acknowledge(batch.last().unwrap().position);
        arrived.extend(numbers(&batch));
    }
    // What is unclear may be there too.
    assert!(arrived.is_sorted_by(|a, b| a < b), "once, and in order: {arrived:?}");
    let missing: Vec<_> = confirmed.iter().filter(|n| !arrived.contains(n)).collect();
    assert!(missing.is_empty(), "{missing:?} of {} confirmed, {unclear} unclear", confirmed.len());
    println!("{} confirmed, {unclear} unclear, {} arrived", confirmed.len(), arrived.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn publishes_to_a_stopped_broker_end_in_time_and_arrive_at_most_once() {
    let _alone = ALONE.lock().await;
    let client = brokers("store-1", &config(&prefix())).await;
    publish(&client, PARTITION, 0..3).await;
    signal("-STOP");
    let began = Instant::now();
    let confirmed = client.inbound.publish(batch(3..4)).await;
    let took = began.elapsed();
    // It stays stopped until the next publish has an answer too.
    let second = client.inbound.publish(batch(4..5)).await;
    signal("-CONT");
    assert_eq!(
        (&confirmed[..], &second[..]),
        (&[Err(PublishError::Unknown)][..], &[Err(PublishError::Unknown)][..])
    );
    assert!(took < Duration::from_secs(12), "{took:?}");
    persistently(&client, 5).await;
    let mut consumer = patiently(&client).await;
    let arrived = arrived_through(&mut *consumer, 5).await;
    let clear = without_the_unclear(without_the_unclear(arrived, 3, &confirmed), 4, &second);
    assert_eq!(clear, [0, 1, 2, 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_stop_is_not_even_noticed() {
    let _alone = ALONE.lock().await;
    let client = brokers("store-1", &config(&prefix())).await;
    publish(&client, PARTITION, 0..3).await;
    let mut consumer = consume(&client, PARTITION, 10).await;
    take(&mut *consumer, 3).await;
    signal("-STOP");
    let under_way = client.inbound.publish(batch(3..6));
    sleep(Duration::from_secs(3)).await;
    signal("-CONT");
    assert_eq!(under_way.await, [Ok(()); 3]);
    assert_eq!(numbers(&take(&mut *consumer, 3).await), [3, 4, 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_broker_everything_ends_in_time() {
    let mut config = config(&prefix());
    // Nobody listens on the first port of loopback.
    config.servers = vec!["127.0.0.1:1".into()];
    let client = Brokers::one(KafkaBroker::start(machine("gateway-1"), &config).unwrap());
    let began = Instant::now();
    assert_eq!(client.inbound.publish(batch(0..1)).await, [Err(PublishError::Unknown)]);
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(consumer_of(&client, 1).await.err(), Some(ConsumeError::Unavailable));
    assert!(client.dead_letters.list(0, 1).await.is_err());
    assert!(client.depths.depths().await.is_err());
    assert!(client.jobs.consume(QUEUE, 1).await.is_err());
    assert!(client.fanout.consume(fanout::life(1, 1), 1).await.is_err());
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_server_is_found() {
    let _alone = ALONE.lock().await;
    let mut config = config(&prefix());
    config.servers.insert(0, "127.0.0.1:1".into());
    let client = brokers("gateway-1", &config).await;
    publish(&client, PARTITION, 0..1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_owner_takes_over_and_an_older_one_is_refused() {
    let _alone = ALONE.lock().await;
    let config = config(&prefix());
    let (old, new) = (brokers("store-1", &config).await, brokers("store-2", &config).await);
    publish(&old, PARTITION, 0..4).await;
    let mut before = consumer_of(&old, 1).await.unwrap();
    let deliveries = take(&mut *before, 4).await;
    before.acknowledge(deliveries[0].position);
    sleep(Duration::from_secs(1)).await;
    // It still reads when the newer one comes.
    let mut after = consumer_of(&new, 2).await.unwrap();
    let deliveries = take(&mut *after, 3).await;
    assert_eq!(numbers(&deliveries), [1, 2, 3]);
    assert!(deliveries.iter().all(|delivery| delivery.redelivered));
    let lost = async { while before.next().await.is_ok() {} };
    timeout(Duration::from_secs(5), lost).await.expect("told that it is lost");
    // It acknowledges nothing any more, and has no way back.
    before.acknowledge(u64::MAX);
    assert_eq!(consumer_of(&old, 1).await.err(), Some(ConsumeError::Taken));
    after.acknowledge(deliveries[0].position);
    drop((before, after));
    let mut last = consume(&old, PARTITION, 10).await;
    assert_eq!(numbers(&take(&mut *last, 2).await), [2, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_is_gone_without_a_word_is_taken_over() {
    let _alone = ALONE.lock().await;
    let config = config(&prefix());
    let client = brokers("store-1", &config).await;
    publish(&client, PARTITION, 0..2).await;
    let mut silent = consumer_of(&client, 3).await.unwrap();
    take(&mut *silent, 2).await;
    signal("-STOP");
    drop(silent);
    // Its claim stays, because it cannot be taken back.
    sleep(Duration::from_secs(10)).await;
    signal("-CONT");
    let began = Instant::now();
    let mut next = patiently(&client).await;
    assert_eq!(numbers(&take(&mut *next, 2).await), [0, 1]);
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_outlives_a_kill_of_the_broker() {
    let _alone = ALONE.lock().await;
    let client = brokers("gateway-1", &config(&prefix())).await;
    let life = fanout::life(1, 1);
    let mut gateway = fanout::consume(&client, life).await;
    fanout::publish(&client, life, 1..3).await;
    assert_eq!(fanout::take(&mut *gateway, 2).await, [1, 2]);
    signal("-KILL");
    // Its queue is there again, or it is told that it is lost and gets another one.
    let told = async {
        loop {
            let message = vec![ports::broker::FanoutMessage { to: life, message: text(7) }];
            if client.fanout.publish(message).await.is_ok() {
                return;
            }
        }
    };
    timeout(PATIENCE, told).await.expect("Kafka is back");
    match timeout(PATIENCE, gateway.next()).await.expect("in time") {
        Ok(records) => assert!(records.iter().all(|record| *record == text(7)), "{records:?}"),
        Err(ConsumerLost) => panic!("the client connects again on its own"),
    }
}
