//! The broker as a node of its own, and nodes that reach it: the conformance suite over pipes, and
//! what happens when a link is lost.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use broker::{BrokerConfig, EmbeddedBroker, RemoteBroker, serve};
use link::LinkTiming;
use ports::broker::{
    PublishError, Queue, Settlement, SubscribeError, SubscribeOptions, SubscriptionLost,
};
use ports::{Broker, Machine, Shutdown, ShutdownTrigger};
use protocol::{Epoch, GatewayId, Incarnation};
use std::sync::Arc;
use std::time::Duration;
use support::conformance::{QUEUE, Stage, batch, consume, numbers, publish, take};
use support::crash_disk::CrashDisk;
use support::{Pipes, machine};
use tokio::time::{Instant, timeout};

const ADDRESS: &str = "broker-1:7000";

struct World {
    pipes: Arc<Pipes>,
    disk: Arc<CrashDisk>,
}

impl World {
    fn new() -> Self {
        Self { pipes: Arc::default(), disk: Arc::default() }
    }

    fn machine(&self, name: &str) -> Machine {
        machine(name, &self.pipes, &self.disk)
    }

    /// Starts the broker's node.
    async fn serve(&self) -> ShutdownTrigger {
        let machine = self.machine("broker-1");
        let broker = EmbeddedBroker::open(machine.clone(), BrokerConfig::default()).await.unwrap();
        let listener = machine.network.bind(ADDRESS).await.unwrap();
        let (trigger, shutdown) = Shutdown::new();
        machine.clone().spawn("serve", async move {
            serve(machine, listener, broker, shutdown).await.unwrap();
        });
        trigger
    }

    fn client(&self, name: &str) -> Arc<RemoteBroker> {
        RemoteBroker::start(self.machine(name), ADDRESS.to_owned(), LinkTiming::default())
    }
}

async fn start() -> Stage {
    let world = World::new();
    let trigger = world.serve().await;
    let (broker, other) = (world.client("store-1"), world.client("store-2"));
    // The suite does not care how an adapter connects; it starts when both have.
    broker.depths().await.unwrap();
    other.depths().await.unwrap();
    Stage { broker, other, keep: Box::new((world, trigger)) }
}

conformance!(start);

#[tokio::test(start_paused = true)]
async fn a_lost_link_loses_its_subscriptions_and_nothing_else() {
    let world = World::new();
    let _server = world.serve().await;
    let client = world.client("store-1");
    client.depths().await.unwrap();
    publish(&*client, QUEUE, 0..4).await;
    let mut consumer = consume(&*client, QUEUE, 10, 1).await;
    let deliveries = take(&mut *consumer, 4).await;
    consumer.settle(vec![Settlement::Ack(deliveries[0].tag)]);
    tokio::time::sleep(Duration::from_millis(100)).await;
    world.pipes.cut();
    assert_eq!(consumer.next().await, Err(SubscriptionLost));
    // Settling on a lost subscription is harmless.
    consumer.settle(vec![Settlement::AckThrough(u64::MAX)]);
    let mut consumer = consume(&*client, QUEUE, 10, 1).await;
    let again = take(&mut *consumer, 3).await;
    assert_eq!(numbers(&again), [1, 2, 3]);
    assert!(again.iter().all(|delivery| delivery.redelivered == 1));
}

#[tokio::test(start_paused = true)]
async fn publishes_under_way_at_a_loss_are_unknown() {
    let world = World::new();
    let _server = world.serve().await;
    let client = world.client("gateway-1");
    client.depths().await.unwrap();
    let confirms = client.publish(batch(QUEUE, 0..2));
    world.pipes.cut();
    assert_eq!(confirms.await, [Err(PublishError::Unknown); 2]);
}

#[tokio::test(start_paused = true)]
async fn publishes_without_a_link_end_in_time_and_are_never_sent() {
    let world = World::new();
    let client = world.client("gateway-1");
    let began = Instant::now();
    assert_eq!(client.publish(batch(QUEUE, 0..1)).await, [Err(PublishError::Unknown)]);
    assert!(began.elapsed() <= Duration::from_millis(1_100), "{:?}", began.elapsed());
    let _server = world.serve().await;
    client.depths().await.unwrap();
    publish(&*client, QUEUE, 1..2).await;
    let mut consumer = consume(&*client, QUEUE, 10, 1).await;
    assert_eq!(numbers(&take(&mut *consumer, 1).await), [1]);
}

#[tokio::test(start_paused = true)]
async fn subscribing_waits_for_the_broker_but_not_for_ever() {
    let world = World::new();
    let client = world.client("store-1");
    let options = SubscribeOptions { prefetch: 1, epoch: Epoch(1) };
    let refused = client.subscribe(QUEUE, options).await.err();
    assert_eq!(refused, Some(SubscribeError::Unavailable));
    let subscribing = client.subscribe(QUEUE, options);
    let (subscribed, _server) = tokio::join!(subscribing, async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        world.serve().await
    });
    assert!(subscribed.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_that_stops_waiting_holds_no_queue() {
    let world = World::new();
    let _server = world.serve().await;
    let client = world.client("gateway-1");
    client.depths().await.unwrap();
    let queue = Queue::Gateway(GatewayId(1), Incarnation(1));
    let options = SubscribeOptions { prefetch: 1, epoch: Epoch(0) };
    // Long enough for the request to leave, too short for the answer.
    let abandoned = timeout(Duration::ZERO, client.subscribe(queue, options)).await;
    assert!(abandoned.is_err());
    tokio::time::sleep(Duration::from_millis(100)).await;
    let confirms = client.publish(batch(queue, 0..1)).await;
    assert_eq!(confirms, [Err(PublishError::Unroutable)]);
}

#[tokio::test(start_paused = true)]
async fn a_restarted_broker_has_everything_confirmed() {
    let world = World::new();
    let server = world.serve().await;
    let client = world.client("store-1");
    client.depths().await.unwrap();
    publish(&*client, QUEUE, 0..4).await;
    let mut consumer = consume(&*client, QUEUE, 2, 1).await;
    let deliveries = take(&mut *consumer, 2).await;
    consumer.settle(vec![Settlement::Ack(deliveries[0].tag)]);
    take(&mut *consumer, 1).await;
    // A clean shutdown: settlements are written.
    server.request();
    assert_eq!(consumer.next().await, Err(SubscriptionLost));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let _server = world.serve().await;
    let mut consumer = consume(&*client, QUEUE, 10, 1).await;
    let again = take(&mut *consumer, 3).await;
    assert_eq!(numbers(&again), [1, 2, 3]);
    assert_eq!(again.iter().map(|d| d.redelivered).collect::<Vec<_>>(), [1, 1, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_large_batch_travels_in_parts_and_in_order() {
    let world = World::new();
    let _server = world.serve().await;
    let client = world.client("store-1");
    client.depths().await.unwrap();
    let mut publications = batch(QUEUE, 0..400);
    for (n, publication) in publications.iter_mut().enumerate() {
        publication.message = vec![n as u8; 16_000].into();
    }
    let (first, last) = (client.publish(publications.clone()), client.publish(batch(QUEUE, [7])));
    assert!(first.await.iter().all(Result::is_ok));
    assert!(last.await.iter().all(Result::is_ok));
    let mut consumer = consume(&*client, QUEUE, 1_000, 1).await;
    let deliveries = take(&mut *consumer, 401).await;
    let sent = publications.iter().map(|publication| &publication.message);
    assert!(deliveries.iter().map(|delivery| &delivery.message).take(400).eq(sent));
}
