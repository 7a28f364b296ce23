//! The broker as a node of its own, and nodes that reach it: the conformance suite over pipes, and
//! what happens when a link is lost.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use broker::{BrokerConfig, EmbeddedBroker, RemoteBroker, serve};
use fakes::{FakeDisk, FakeNetwork};
use link::LinkTiming;
use ports::broker::conformance::{PARTITION, Stage, consume, fanout, numbers, publish, take, text};
use ports::broker::{Brokers, ConsumeError, ConsumerLost, InboundOptions, PublishError};
use ports::{Machine, Shutdown, ShutdownTrigger};
use protocol::Epoch;
use std::sync::Arc;
use std::time::Duration;
use support::machine;
use tokio::time::{Instant, timeout};

const ADDRESS: &str = "broker-1:7000";

struct World {
    pipes: Arc<FakeNetwork>,
    disk: FakeDisk,
}

impl World {
    fn new() -> Self {
        Self { pipes: Arc::default(), disk: FakeDisk::default() }
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

    fn client(&self, name: &str) -> Brokers {
        let machine = self.machine(name);
        Brokers::one(RemoteBroker::start(machine, ADDRESS.to_owned(), LinkTiming::default()))
    }
}

async fn start() -> Stage {
    let world = World::new();
    let trigger = world.serve().await;
    let (here, there) = (world.client("store-1"), world.client("store-2"));
    // The suite does not care how an adapter connects; it starts when both have.
    here.depths.depths().await.unwrap();
    there.depths.depths().await.unwrap();
    Stage { here, there, keep: Box::new((world, trigger)) }
}

ports::conformance!(inbound, start, tokio::test(start_paused = true));
ports::conformance!(jobs, start, tokio::test(start_paused = true));
ports::conformance!(fanout, start, tokio::test(start_paused = true));
ports::conformance!(dead_letters, start, tokio::test(start_paused = true));
ports::conformance!(depths, start, tokio::test(start_paused = true));
takeover!(start);

fn batch(numbers: std::ops::Range<u32>) -> Vec<(protocol::Partition, bytes::Bytes)> {
    numbers.map(|n| (PARTITION, text(n))).collect()
}

#[tokio::test(start_paused = true)]
async fn a_lost_link_loses_its_consumers_and_nothing_else() {
    let world = World::new();
    let _server = world.serve().await;
    let client = world.client("store-1");
    client.depths.depths().await.unwrap();
    publish(&client, PARTITION, 0..4).await;
    let mut consumer = consume(&client, PARTITION, 10).await;
    let deliveries = take(&mut *consumer, 4).await;
    consumer.acknowledge(deliveries[0].position);
    tokio::time::sleep(Duration::from_millis(100)).await;
    world.pipes.cut();
    assert_eq!(consumer.next().await, Err(ConsumerLost));
    // Acknowledging from a lost consumer is harmless.
    consumer.acknowledge(u64::MAX);
    let mut consumer = consume(&client, PARTITION, 10).await;
    let again = take(&mut *consumer, 3).await;
    assert_eq!(numbers(&again), [1, 2, 3]);
    assert!(again.iter().all(|delivery| delivery.redelivered));
}

#[tokio::test(start_paused = true)]
async fn publishes_under_way_at_a_loss_are_unknown() {
    let world = World::new();
    let _server = world.serve().await;
    let client = world.client("gateway-1");
    client.depths.depths().await.unwrap();
    let confirms = client.inbound.publish(batch(0..2));
    world.pipes.cut();
    assert_eq!(confirms.await, [Err(PublishError::Unknown); 2]);
}

#[tokio::test(start_paused = true)]
async fn publishes_without_a_link_end_in_time_and_are_never_sent() {
    let world = World::new();
    let client = world.client("gateway-1");
    let began = Instant::now();
    assert_eq!(client.inbound.publish(batch(0..1)).await, [Err(PublishError::Unknown)]);
    assert!(began.elapsed() <= Duration::from_millis(1_100), "{:?}", began.elapsed());
    let _server = world.serve().await;
    client.depths.depths().await.unwrap();
    publish(&client, PARTITION, 1..2).await;
    let mut consumer = consume(&client, PARTITION, 10).await;
    assert_eq!(numbers(&take(&mut *consumer, 1).await), [1]);
}

#[tokio::test(start_paused = true)]
async fn consuming_waits_for_the_broker_but_not_for_ever() {
    let world = World::new();
    let client = world.client("store-1");
    let options = InboundOptions { prefetch: 1, epoch: Epoch(1) };
    let refused = client.inbound.consume(PARTITION, options).await.err();
    assert_eq!(refused, Some(ConsumeError::Unavailable));
    let consuming = client.inbound.consume(PARTITION, options);
    let (consuming, _server) = tokio::join!(consuming, async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        world.serve().await
    });
    assert!(consuming.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_stops_waiting_holds_no_queue() {
    let world = World::new();
    let _server = world.serve().await;
    let client = world.client("gateway-1");
    client.depths.depths().await.unwrap();
    let life = fanout::life(1, 1);
    let mut gateway = fanout::consume(&client, life).await;
    // Long enough for the request to leave, too short for the answer.
    let abandoned = timeout(Duration::ZERO, client.fanout.consume(fanout::life(1, 2), 1)).await;
    assert!(abandoned.is_err());
    assert_eq!(gateway.next().await, Err(ConsumerLost));
    tokio::time::sleep(Duration::from_millis(100)).await;
    fanout::publish(&client, fanout::life(1, 2), [1]).await;
    assert_eq!(client.depths.depths().await, Ok(Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn a_restarted_broker_has_everything_confirmed() {
    let world = World::new();
    let server = world.serve().await;
    let client = world.client("store-1");
    client.depths.depths().await.unwrap();
    publish(&client, PARTITION, 0..4).await;
    let mut consumer = consume(&client, PARTITION, 2).await;
    let deliveries = take(&mut *consumer, 2).await;
    consumer.acknowledge(deliveries[0].position);
    take(&mut *consumer, 1).await;
    // A clean shutdown: settlements are written.
    server.request();
    assert_eq!(consumer.next().await, Err(ConsumerLost));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let _server = world.serve().await;
    let mut consumer = consume(&client, PARTITION, 10).await;
    let again = take(&mut *consumer, 3).await;
    assert_eq!(numbers(&again), [1, 2, 3]);
    assert_eq!(again.iter().map(|d| d.redelivered).collect::<Vec<_>>(), [true, true, false]);
}

#[tokio::test(start_paused = true)]
async fn a_large_batch_travels_in_parts_and_in_order() {
    let world = World::new();
    let _server = world.serve().await;
    let client = world.client("store-1");
    client.depths.depths().await.unwrap();
    let large = |n: u32| (PARTITION, bytes::Bytes::from(vec![n as u8; 16_000]));
    let sent: Vec<_> = (0..400).map(large).collect();
    let (first, last) = (client.inbound.publish(sent.clone()), client.inbound.publish(batch(7..8)));
    assert!(first.await.iter().all(Result::is_ok));
    assert!(last.await.iter().all(Result::is_ok));
    let mut consumer = consume(&client, PARTITION, 1_000).await;
    let deliveries = take(&mut *consumer, 401).await;
    let sent = sent.iter().map(|(_, message)| message);
    assert!(deliveries.iter().map(|delivery| &delivery.message).take(400).eq(sent));
}
