//! The suite of [`Inbound`](crate::broker::Inbound).

#![allow(missing_docs, reason = "the names of the claims say it")]

use super::{PARTITION, Stage, consume, numbers, publish, silence, take, text};
use bytes::Bytes;
use protocol::Partition;

pub async fn messages_arrive_in_the_order_of_the_calls(stage: Stage) {
    let batch = |numbers: std::ops::Range<u32>| {
        let batch = numbers.map(|n| (PARTITION, text(n))).collect();
        stage.here.inbound.publish(batch)
    };
    // No await between the calls: the order of the calls counts, not that of the confirms.
    let (first, second, third) = (batch(0..100), batch(100..101), batch(101..200));
    for confirms in [third.await, first.await, second.await] {
        assert!(confirms.iter().all(Result::is_ok));
    }
    let mut consumer = consume(&stage.there, PARTITION, 1_000).await;
    let deliveries = take(&mut *consumer, 200).await;
    assert_eq!(numbers(&deliveries), (0..200).collect::<Vec<_>>());
    assert!(deliveries.iter().all(|delivery| !delivery.redelivered));
    assert!(deliveries.is_sorted_by(|a, b| a.position < b.position));
}

pub async fn a_batch_may_span_partitions(stage: Stage) {
    let to = |partition, n| (Partition(partition), text(n));
    let mixed = vec![to(1, 1), to(2, 2), to(1, 3)];
    assert_eq!(stage.here.inbound.publish(mixed).await, [Ok(()); 3]);
    assert_eq!(stage.here.inbound.publish(Vec::new()).await, []);
    let mut first = consume(&stage.here, Partition(1), 10).await;
    let mut second = consume(&stage.here, Partition(2), 10).await;
    assert_eq!(numbers(&take(&mut *first, 2).await), [1, 3]);
    assert_eq!(numbers(&take(&mut *second, 1).await), [2]);
}

pub async fn prefetch_bounds_what_is_unacknowledged(stage: Stage) {
    publish(&stage.here, PARTITION, 0..10).await;
    let mut consumer = consume(&stage.here, PARTITION, 3).await;
    let first = take(&mut *consumer, 3).await;
    silence(&mut *consumer).await;
    consumer.acknowledge(first[0].position);
    let second = take(&mut *consumer, 1).await;
    assert_eq!(numbers(&second), [3]);
    silence(&mut *consumer).await;
    consumer.acknowledge(second[0].position);
    assert_eq!(numbers(&take(&mut *consumer, 3).await), [4, 5, 6]);
}

pub async fn what_was_not_acknowledged_comes_again_first(stage: Stage) {
    publish(&stage.here, PARTITION, 0..6).await;
    let mut consumer = consume(&stage.here, PARTITION, 4).await;
    let deliveries = take(&mut *consumer, 4).await;
    consumer.acknowledge(deliveries[1].position);
    drop(consumer);
    publish(&stage.here, PARTITION, 6..7).await;
    let mut next = consume(&stage.there, PARTITION, 10).await;
    let deliveries = take(&mut *next, 5).await;
    assert_eq!(numbers(&deliveries), [2, 3, 4, 5, 6]);
    assert!(deliveries[0].redelivered && deliveries[1].redelivered);
}

pub async fn a_consumer_that_is_gone_acknowledges_nothing(stage: Stage) {
    publish(&stage.here, PARTITION, 0..2).await;
    let mut consumer = consume(&stage.here, PARTITION, 10).await;
    take(&mut *consumer, 2).await;
    drop(consumer);
    let mut next = consume(&stage.there, PARTITION, 10).await;
    let deliveries = take(&mut *next, 2).await;
    assert_eq!(numbers(&deliveries), [0, 1]);
    next.acknowledge(deliveries[0].position);
    drop(next);
    let mut last = consume(&stage.here, PARTITION, 10).await;
    assert_eq!(numbers(&take(&mut *last, 1).await), [1]);
}

pub async fn acknowledging_twice_is_acknowledging_once(stage: Stage) {
    publish(&stage.here, PARTITION, 0..3).await;
    let mut consumer = consume(&stage.here, PARTITION, 10).await;
    let deliveries = take(&mut *consumer, 3).await;
    for delivery in [1, 0, 1] {
        consumer.acknowledge(deliveries[delivery].position);
    }
    silence(&mut *consumer).await;
    drop(consumer);
    let mut consumer = consume(&stage.here, PARTITION, 10).await;
    assert_eq!(numbers(&take(&mut *consumer, 1).await), [2]);
}

pub async fn a_busy_partition_does_not_starve_another(stage: Stage) {
    let busy = Partition(3);
    let batch = vec![(busy, Bytes::from(vec![7; 10_000])); 2_000];
    assert!(stage.here.inbound.publish(batch).await.iter().all(Result::is_ok));
    publish(&stage.here, PARTITION, 0..1).await;
    // Nobody reads the busy one; its deliveries stay bounded by its prefetch.
    let idle = consume(&stage.here, busy, 1_000).await;
    let mut consumer = consume(&stage.here, PARTITION, 10).await;
    assert_eq!(numbers(&take(&mut *consumer, 1).await), [0]);
    drop(idle);
}
