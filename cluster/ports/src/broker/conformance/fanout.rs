//! The suite of [`Fanout`](crate::broker::Fanout).

#![allow(missing_docs, reason = "the names of the claims say it")]

use super::{LOOK, PATIENCE, SILENCE, Stage, number, text};
use crate::broker::{Brokers, ConsumerLost, FanoutConsumer, FanoutMessage, GatewayLife};
use protocol::{GatewayId, Incarnation};
use tokio::time::{sleep, timeout};

const PREFETCH: u32 = 100;

/// One life of a gateway.
pub fn life(gateway: u16, incarnation: u64) -> GatewayLife {
    GatewayLife { gateway: GatewayId(gateway), incarnation: Incarnation(incarnation) }
}

/// Publishes numbered records.
pub async fn publish(brokers: &Brokers, to: GatewayLife, numbers: impl IntoIterator<Item = u32>) {
    let message = |n| FanoutMessage { to, message: text(n) };
    let batch = numbers.into_iter().map(message).collect();
    assert_eq!(brokers.fanout.publish(batch).await, Ok(()));
}

/// Becomes the consumer of a gateway's queue.
pub async fn consume(brokers: &Brokers, life: GatewayLife) -> Box<dyn FanoutConsumer> {
    brokers.fanout.consume(life, PREFETCH).await.expect("the queue can be consumed")
}

/// The numbers of exactly so many records.
pub async fn take(consumer: &mut dyn FanoutConsumer, count: usize) -> Vec<u32> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let next = timeout(PATIENCE, consumer.next()).await.expect("records in time");
        let next = next.expect("the consumer is not lost");
        taken.extend(next.iter().map(|record| number(record)));
    }
    assert_eq!(taken.len(), count, "more records than expected");
    taken
}

async fn silence(consumer: &mut dyn FanoutConsumer) {
    let next = timeout(SILENCE, consumer.next()).await;
    assert!(next.is_err(), "unexpected: {next:?}");
}

async fn lost(consumer: &mut dyn FanoutConsumer) {
    while timeout(PATIENCE, consumer.next()).await.expect("noticed in time") != Err(ConsumerLost) {}
}

pub async fn records_arrive_in_the_order_of_the_calls(stage: Stage) {
    let to = life(1, 1);
    let mut consumer = consume(&stage.there, to).await;
    let batch = |numbers: std::ops::Range<u32>| {
        let message = |n| FanoutMessage { to, message: text(n) };
        stage.here.fanout.publish(numbers.map(message).collect())
    };
    // No await between the calls, and more than are prefetched.
    let published = [batch(0..250), batch(250..251), batch(251..600)];
    assert_eq!(take(&mut *consumer, 600).await, (0..600).collect::<Vec<_>>());
    for published in published {
        assert_eq!(published.await, Ok(()));
    }
}

pub async fn a_queue_lives_as_long_as_its_consumer(stage: Stage) {
    let to = life(1, 5);
    // Nobody is there, and nobody is told.
    publish(&stage.there, to, [1]).await;
    let mut gateway = consume(&stage.here, to).await;
    publish(&stage.there, to, 2..4).await;
    assert_eq!(take(&mut *gateway, 2).await, [2, 3]);
    drop(gateway);
    // Giving up is a message of its own on another connection.
    sleep(LOOK * 10).await;
    publish(&stage.there, to, [4]).await;
    let mut gateway = consume(&stage.here, to).await;
    silence(&mut *gateway).await;
    publish(&stage.there, to, [5]).await;
    assert_eq!(take(&mut *gateway, 1).await, [5]);
}

pub async fn a_new_life_ends_the_queue_of_the_old_one(stage: Stage) {
    // The clock that incarnations come from may have been set back.
    for (old, new) in [(8, 9), (9, 3)] {
        let (old, new, neighbour) = (life(1, old), life(1, new), life(2, 1));
        let mut neighbours = consume(&stage.here, neighbour).await;
        let mut before = consume(&stage.here, old).await;
        let mut after = consume(&stage.there, new).await;
        lost(&mut *before).await;
        publish(&stage.here, old, [1]).await;
        publish(&stage.here, new, [2]).await;
        publish(&stage.here, neighbour, [3]).await;
        assert_eq!(take(&mut *after, 1).await, [2]);
        assert_eq!(take(&mut *neighbours, 1).await, [3]);
    }
}
