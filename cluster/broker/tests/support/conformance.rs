//! What every adapter of `ports::Broker` must do, whatever stands behind it.
//!
//! An adapter runs through it with one line, `conformance!(start)`, where `start` is an async function
//! that returns a [`Stage`] with queues that nobody has used. Claims about one adapter alone (crashes,
//! lost links, limits) have their own test files.

use bytes::Bytes;
use ports::broker::{
    Delivery, Publication, PublishError, Queue, Settlement, SubscribeError, SubscribeOptions,
    SubscriptionLost,
};
use ports::{Broker, Destination, Subscription};
use protocol::{Epoch, GatewayId, Incarnation, Partition, limits};
use std::any::Any;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// Two connections to one broker.
pub struct Stage {
    pub broker: Arc<dyn Broker>,
    pub other: Arc<dyn Broker>,
    /// Kept until the test is over.
    pub keep: Box<dyn Any + Send>,
}

/// The queue of most claims.
pub const QUEUE: Queue = Queue::Inbound(Partition(1));
/// Longer than anything may take here.
const PATIENCE: Duration = Duration::from_secs(20);

pub fn text(n: u32) -> Bytes {
    Bytes::from(n.to_string())
}

pub fn numbers(deliveries: &[Delivery]) -> Vec<u32> {
    let texts = deliveries.iter().map(|delivery| std::str::from_utf8(&delivery.message).unwrap());
    texts.map(|text| text.parse().unwrap()).collect()
}

pub fn batch(queue: Queue, numbers: impl IntoIterator<Item = u32>) -> Vec<Publication> {
    let message = |n| Publication { to: queue.into(), message: text(n) };
    numbers.into_iter().map(message).collect()
}

pub async fn publish(broker: &dyn Broker, queue: Queue, numbers: impl IntoIterator<Item = u32>) {
    for confirm in broker.publish(batch(queue, numbers)).await {
        assert_eq!(confirm, Ok(()));
    }
}

pub async fn consume(
    broker: &dyn Broker,
    queue: Queue,
    prefetch: u32,
    epoch: u64,
) -> Box<dyn Subscription> {
    let options = SubscribeOptions { prefetch, epoch: Epoch(epoch) };
    broker.subscribe(queue, options).await.expect("the queue is free")
}

/// Exactly this many deliveries, in however many batches they come.
pub async fn take(subscription: &mut dyn Subscription, count: usize) -> Vec<Delivery> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let next = timeout(PATIENCE, subscription.next()).await.expect("deliveries in time");
        taken.extend(next.expect("the subscription holds"));
    }
    assert_eq!(taken.len(), count, "more deliveries than expected");
    taken
}

/// Nothing comes for a while.
pub async fn silence(subscription: &mut dyn Subscription) {
    let next = timeout(Duration::from_millis(300), subscription.next()).await;
    assert!(next.is_err(), "unexpected: {next:?}");
}

async fn lost(subscription: &mut dyn Subscription) {
    loop {
        match timeout(PATIENCE, subscription.next()).await.expect("noticed in time") {
            Ok(_) => {}
            Err(SubscriptionLost) => return,
        }
    }
}

pub async fn messages_arrive_in_the_order_of_the_calls(stage: Stage) {
    // No await between the calls: the order of the calls counts, not that of the confirms.
    let first = stage.broker.publish(batch(QUEUE, 0..100));
    let second = stage.broker.publish(batch(QUEUE, 100..101));
    let third = stage.broker.publish(batch(QUEUE, 101..200));
    for confirms in [third.await, first.await, second.await] {
        assert!(confirms.iter().all(Result::is_ok));
    }
    let mut consumer = consume(&*stage.other, QUEUE, 1_000, 1).await;
    let deliveries = take(&mut *consumer, 200).await;
    assert_eq!(numbers(&deliveries), (0..200).collect::<Vec<_>>());
    assert!(deliveries.iter().all(|delivery| delivery.redelivered == 0 && !delivery.lossy));
    assert!(deliveries.is_sorted_by_key(|delivery| delivery.tag));
}

pub async fn confirms_are_in_the_order_of_the_batch(stage: Stage) {
    let nobody = Queue::Gateway(GatewayId(9), Incarnation(9));
    let mut mixed = batch(QUEUE, [1]);
    mixed.extend(batch(nobody, [2]));
    mixed.extend(batch(QUEUE, [3]));
    let confirms = stage.broker.publish(mixed).await;
    assert_eq!(confirms, [Ok(()), Err(PublishError::Unroutable), Ok(())]);
    assert_eq!(stage.broker.publish(Vec::new()).await, []);
}

pub async fn prefetch_bounds_what_is_unsettled(stage: Stage) {
    publish(&*stage.broker, QUEUE, 0..10).await;
    let mut consumer = consume(&*stage.broker, QUEUE, 3, 1).await;
    let first = take(&mut *consumer, 3).await;
    silence(&mut *consumer).await;
    consumer.settle(vec![Settlement::Ack(first[1].tag)]);
    let second = take(&mut *consumer, 1).await;
    assert_eq!(numbers(&second), [3]);
    consumer.settle(vec![Settlement::AckThrough(second[0].tag)]);
    assert_eq!(numbers(&take(&mut *consumer, 3).await), [4, 5, 6]);
}

pub async fn messages_of_a_lost_consumer_come_back_first(stage: Stage) {
    publish(&*stage.broker, QUEUE, 0..6).await;
    let mut consumer = consume(&*stage.broker, QUEUE, 4, 1).await;
    let deliveries = take(&mut *consumer, 4).await;
    consumer.settle(vec![Settlement::Ack(deliveries[1].tag)]);
    drop(consumer);
    let mut next = consume(&*stage.broker, QUEUE, 10, 1).await;
    let deliveries = take(&mut *next, 5).await;
    assert_eq!(numbers(&deliveries), [0, 2, 3, 4, 5]);
    let redelivered: Vec<bool> = deliveries.iter().map(|d| d.redelivered > 0).collect();
    assert_eq!(redelivered, [true, true, true, false, false]);
}

pub async fn a_higher_epoch_takes_the_queue(stage: Stage) {
    publish(&*stage.broker, QUEUE, 0..4).await;
    let mut old = consume(&*stage.broker, QUEUE, 2, 1).await;
    take(&mut *old, 2).await;
    let mut new = consume(&*stage.other, QUEUE, 10, 2).await;
    lost(&mut *old).await;
    // What the old owner says now must not touch what the new one holds.
    old.settle(vec![Settlement::AckThrough(u64::MAX)]);
    assert_eq!(numbers(&take(&mut *new, 4).await), [0, 1, 2, 3]);
    drop(old);
    drop(new);
    let mut last = consume(&*stage.other, QUEUE, 10, 2).await;
    assert_eq!(numbers(&take(&mut *last, 4).await), [0, 1, 2, 3]);
}

pub async fn a_lower_epoch_is_fenced(stage: Stage) {
    drop(consume(&*stage.broker, QUEUE, 2, 7).await);
    let options = SubscribeOptions { prefetch: 2, epoch: Epoch(6) };
    let refused = stage.other.subscribe(QUEUE, options).await.err();
    assert_eq!(refused, Some(SubscribeError::Fenced { current: Epoch(7) }));
}

pub async fn an_equal_epoch_replaces(stage: Stage) {
    publish(&*stage.broker, QUEUE, 0..2).await;
    let mut old = consume(&*stage.broker, QUEUE, 2, 3).await;
    take(&mut *old, 2).await;
    let mut new = consume(&*stage.other, QUEUE, 2, 3).await;
    lost(&mut *old).await;
    assert_eq!(numbers(&take(&mut *new, 2).await), [0, 1]);
}

pub async fn a_requeued_message_comes_again_at_its_place(stage: Stage) {
    publish(&*stage.broker, QUEUE, 0..4).await;
    let mut consumer = consume(&*stage.broker, QUEUE, 2, 1).await;
    let deliveries = take(&mut *consumer, 2).await;
    consumer.settle(vec![Settlement::Requeue(deliveries[0].tag)]);
    let again = take(&mut *consumer, 1).await;
    assert_eq!((numbers(&again), again[0].redelivered), (vec![0], 1));
    assert!(again[0].tag > deliveries[1].tag);
}

pub async fn a_retried_message_comes_again_after_its_delay(stage: Stage) {
    publish(&*stage.broker, QUEUE, 0..2).await;
    let mut consumer = consume(&*stage.broker, QUEUE, 10, 1).await;
    let deliveries = take(&mut *consumer, 2).await;
    let after = Duration::from_secs(2);
    let began = Instant::now();
    consumer.settle(vec![
        Settlement::Retry { tag: deliveries[0].tag, after },
        Settlement::Ack(deliveries[1].tag),
    ]);
    let again = take(&mut *consumer, 1).await;
    assert_eq!((numbers(&again), again[0].redelivered), (vec![0], 1));
    assert!(began.elapsed() >= after, "{:?}", began.elapsed());
}

pub async fn a_delayed_message_is_invisible_until_it_is_due(stage: Stage) {
    let delay = Duration::from_secs(3);
    let began = Instant::now();
    let mut messages = batch(QUEUE, 0..2);
    messages[0].to.delay = Some(delay);
    assert_eq!(stage.broker.publish(messages).await, [Ok(()), Ok(())]);
    let mut consumer = consume(&*stage.broker, QUEUE, 10, 1).await;
    assert_eq!(numbers(&take(&mut *consumer, 1).await), [1]);
    assert_eq!(numbers(&take(&mut *consumer, 1).await), [0]);
    assert!(began.elapsed() >= delay, "{:?}", began.elapsed());
}

pub async fn the_delivery_limit_makes_a_dead_letter(stage: Stage) {
    publish(&*stage.broker, QUEUE, [7]).await;
    let mut consumer = consume(&*stage.broker, QUEUE, 1, 1).await;
    for attempt in 0..limits::DELIVERY_LIMIT {
        let delivery = take(&mut *consumer, 1).await.remove(0);
        assert_eq!(
            (numbers(std::slice::from_ref(&delivery)), delivery.redelivered),
            (vec![7], attempt)
        );
        let after = Duration::from_millis(100);
        consumer.settle(vec![Settlement::Retry { tag: delivery.tag, after }]);
    }
    let letters = letters(&*stage.broker, 1).await;
    assert_eq!(letters[0].reason, "delivery limit");
    assert_eq!((letters[0].attempts, letters[0].queue), (limits::DELIVERY_LIMIT, QUEUE));
    assert_eq!(letters[0].message, text(7));
}

pub async fn lost_consumers_do_not_use_up_the_delivery_limit(stage: Stage) {
    publish(&*stage.broker, QUEUE, 0..3).await;
    for _ in 0..limits::DELIVERY_LIMIT * 3 {
        let mut consumer = consume(&*stage.broker, QUEUE, 10, 1).await;
        let deliveries = take(&mut *consumer, 3).await;
        assert_eq!(numbers(&deliveries), [0, 1, 2]);
        // Nor does what a consumer gives back that drains.
        consumer.settle(vec![Settlement::Requeue(deliveries[1].tag)]);
    }
    assert_eq!(stage.broker.dead_letters(0, 10).await, Ok(Vec::new()));
}

/// The dead letters, once there are as many.
pub async fn letters(broker: &dyn Broker, count: usize) -> Vec<ports::broker::DeadLetter> {
    let mut found = Vec::new();
    for _ in 0..100 {
        found = broker.dead_letters(0, 1_000).await.expect("the broker answers");
        if found.len() == count {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(found.len(), count, "{found:?}");
    found
}

pub async fn a_dead_letter_goes_back_once(stage: Stage) {
    publish(&*stage.broker, QUEUE, 0..3).await;
    let mut consumer = consume(&*stage.broker, QUEUE, 10, 1).await;
    let deliveries = take(&mut *consumer, 3).await;
    let reason = || "no such format".to_owned();
    consumer.settle(vec![
        Settlement::DeadLetter { tag: deliveries[2].tag, reason: reason() },
        Settlement::DeadLetter { tag: deliveries[0].tag, reason: reason() },
        Settlement::Ack(deliveries[1].tag),
    ]);
    let dead = letters(&*stage.other, 2).await;
    // In the order of their deaths.
    assert!(dead[0].id < dead[1].id);
    assert_eq!((&dead[0].message, &dead[1].message), (&text(2), &text(0)));
    assert_eq!((dead[0].reason.as_str(), dead[0].attempts), ("no such format", 1));
    assert_eq!(stage.other.dead_letters(dead[0].id, 10).await, Ok(vec![dead[1].clone()]));
    assert_eq!(stage.other.dead_letters(0, 1).await, Ok(vec![dead[0].clone()]));
    publish(&*stage.broker, QUEUE, 3..4).await;
    assert_eq!(stage.other.requeue_dead_letter(dead[1].id).await, Ok(true));
    assert_eq!(stage.other.requeue_dead_letter(dead[1].id).await, Ok(false));
    assert_eq!(stage.other.requeue_dead_letter(u64::MAX).await, Ok(false));
    let back = take(&mut *consumer, 2).await;
    assert_eq!((numbers(&back), back[1].redelivered), (vec![3, 0], 0));
    assert_eq!(letters(&*stage.broker, 1).await, dead[..1]);
}

pub async fn a_gateway_queue_lives_as_long_as_its_subscription(stage: Stage) {
    let queue = Queue::Gateway(GatewayId(1), Incarnation(5));
    let unroutable = vec![Err(PublishError::Unroutable)];
    assert_eq!(stage.other.publish(batch(queue, [1])).await, unroutable);
    let mut gateway = consume(&*stage.broker, queue, 100, 0).await;
    publish(&*stage.other, queue, 2..4).await;
    assert_eq!(numbers(&take(&mut *gateway, 2).await), [2, 3]);
    drop(gateway);
    // Giving up is a message of its own on another connection.
    for _ in 0..100 {
        if stage.other.publish(batch(queue, [4])).await == unroutable {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(stage.other.publish(batch(queue, [5])).await, unroutable);
    let mut gateway = consume(&*stage.broker, queue, 100, 0).await;
    silence(&mut *gateway).await;
}

pub async fn a_gateways_new_life_ends_the_old_ones_queue(stage: Stage) {
    let (old, new) = (Incarnation(8), Incarnation(9));
    let (old, new) = (Queue::Gateway(GatewayId(1), old), Queue::Gateway(GatewayId(1), new));
    let neighbour = Queue::Gateway(GatewayId(2), Incarnation(1));
    let mut neighbours = consume(&*stage.broker, neighbour, 10, 0).await;
    let mut before = consume(&*stage.broker, old, 10, 0).await;
    let mut after = consume(&*stage.other, new, 10, 0).await;
    lost(&mut *before).await;
    let confirms = stage.broker.publish(batch(old, [1])).await;
    assert_eq!(confirms, [Err(PublishError::Unroutable)]);
    publish(&*stage.broker, new, 2..3).await;
    publish(&*stage.broker, neighbour, 3..4).await;
    assert_eq!(numbers(&take(&mut *after, 1).await), [2]);
    assert_eq!(numbers(&take(&mut *neighbours, 1).await), [3]);
}

pub async fn depths_count_what_is_held(stage: Stage) {
    assert_eq!(stage.broker.depths().await, Ok(Vec::new()));
    publish(&*stage.broker, QUEUE, 0..3).await;
    publish(&*stage.broker, Queue::Notify(2), 0..1).await;
    let mut consumer = consume(&*stage.broker, QUEUE, 2, 1).await;
    let deliveries = take(&mut *consumer, 2).await;
    let depths = vec![(QUEUE, 3), (Queue::Notify(2), 1)];
    assert_eq!(stage.broker.depths().await, Ok(depths));
    consumer.settle(vec![Settlement::AckThrough(deliveries[1].tag)]);
    take(&mut *consumer, 1).await;
    let depths = vec![(QUEUE, 1), (Queue::Notify(2), 1)];
    assert_eq!(stage.broker.depths().await, Ok(depths));
}

pub async fn settling_what_is_not_held_changes_nothing(stage: Stage) {
    publish(&*stage.broker, QUEUE, 0..2).await;
    let mut consumer = consume(&*stage.broker, QUEUE, 10, 1).await;
    let deliveries = take(&mut *consumer, 2).await;
    let (first, unknown) = (deliveries[0].tag, deliveries[1].tag + 1_000);
    consumer.settle(vec![
        Settlement::Ack(first),
        Settlement::Ack(first),
        Settlement::Requeue(first),
        Settlement::Retry { tag: unknown, after: Duration::ZERO },
        Settlement::DeadLetter { tag: unknown, reason: "none".to_owned() },
        Settlement::Requeue(unknown),
    ]);
    silence(&mut *consumer).await;
    drop(consumer);
    let mut consumer = consume(&*stage.broker, QUEUE, 10, 1).await;
    assert_eq!(numbers(&take(&mut *consumer, 1).await), [1]);
    assert_eq!(stage.broker.dead_letters(0, 10).await, Ok(Vec::new()));
}

pub async fn a_busy_queue_does_not_starve_another(stage: Stage) {
    let body = Bytes::from(vec![7; 10_000]);
    let busy = Queue::Notify(1);
    let message = Publication { to: Destination::from(busy), message: body };
    let confirms = stage.broker.publish(vec![message; 2_000]).await;
    assert!(confirms.iter().all(Result::is_ok));
    publish(&*stage.broker, QUEUE, 0..1).await;
    // Nobody reads the busy subscription; its deliveries stay bounded by its prefetch.
    let idle = consume(&*stage.broker, busy, 1_000, 1).await;
    let mut consumer = consume(&*stage.broker, QUEUE, 10, 1).await;
    assert_eq!(numbers(&take(&mut *consumer, 1).await), [0]);
    drop(idle);
}

/// One test per claim, against stages that `$start` makes.
#[macro_export]
macro_rules! conformance {
    ($start:path) => {
        $crate::conformance!($start:
            messages_arrive_in_the_order_of_the_calls,
            confirms_are_in_the_order_of_the_batch,
            prefetch_bounds_what_is_unsettled,
            messages_of_a_lost_consumer_come_back_first,
            a_higher_epoch_takes_the_queue,
            a_lower_epoch_is_fenced,
            an_equal_epoch_replaces,
            a_requeued_message_comes_again_at_its_place,
            a_retried_message_comes_again_after_its_delay,
            a_delayed_message_is_invisible_until_it_is_due,
            the_delivery_limit_makes_a_dead_letter,
            lost_consumers_do_not_use_up_the_delivery_limit,
            a_dead_letter_goes_back_once,
            a_gateway_queue_lives_as_long_as_its_subscription,
            a_gateways_new_life_ends_the_old_ones_queue,
            depths_count_what_is_held,
            settling_what_is_not_held_changes_nothing,
            a_busy_queue_does_not_starve_another,
        );
    };
    ($start:path: $($claim:ident,)*) => {
        $(
            #[tokio::test(start_paused = true)]
            async fn $claim() {
                $crate::support::conformance::$claim($start().await).await;
            }
        )*
    };
}
