//! Direct fan-out between whole store nodes and gateways: the suite of the port, and what is lost when.

use super::GatewayLinks;
use crate::RemoteConversations;
use crate::world::World;
use bytes::Bytes;
use ports::broker::conformance::fanout::{life, publish, take};
use ports::broker::conformance::{Stage, text};
use ports::broker::{
    BrokerUnavailable, Brokers, ConsumerLost, Fanout, FanoutConsumer, FanoutMessage, GatewayLife,
};
use ports::{BoxFuture, Conversations};
use protocol::Design;
use protocol::design::FanOut;
use protocol::limits::StoreLimits;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

const PREFETCH: u32 = 100;
const WINDOW: usize = PREFETCH as usize;

/// A store node that runs.
async fn world() -> World {
    let mut world = World::new(Design { fan_out: FanOut::Direct, ..Design::default() });
    world.start().await;
    world
}

/// Publishes at the store node; each consumer is a gateway's process of its own.
struct Cluster(Arc<World>);

impl Fanout for Cluster {
    fn publish(
        &self,
        batch: Vec<FanoutMessage>,
    ) -> BoxFuture<'static, Result<(), BrokerUnavailable>> {
        self.0.config.gateways.publish(batch)
    }

    fn consume(
        &self,
        life: GatewayLife,
        prefetch: u32,
    ) -> BoxFuture<'static, Result<Box<dyn FanoutConsumer>, BrokerUnavailable>> {
        let gateway = self.0.conversations();
        Box::pin(async move {
            let consumer = consume(&gateway, life, prefetch).await;
            Ok(Box::new(Process { consumer, _gateway: gateway }) as Box<_>)
        })
    }
}

/// Becomes the consumer as soon as a store node is linked.
async fn consume(
    gateway: &RemoteConversations,
    life: GatewayLife,
    prefetch: u32,
) -> Box<dyn FanoutConsumer> {
    loop {
        if let Ok(consumer) = gateway.consume(life, prefetch).await {
            return consumer;
        }
        sleep(Duration::from_millis(10)).await;
    }
}

struct Process {
    consumer: Box<dyn FanoutConsumer>,
    _gateway: Arc<RemoteConversations>,
}

impl FanoutConsumer for Process {
    fn next(&mut self) -> BoxFuture<'_, Result<Vec<Bytes>, ConsumerLost>> {
        self.consumer.next()
    }
}

/// The ports at a store node.
fn brokers(world: &Arc<World>) -> Brokers {
    Brokers { fanout: Arc::new(Cluster(Arc::clone(world))), ..world.broker.brokers() }
}

async fn start() -> Stage {
    let world = Arc::new(world().await);
    Stage { here: brokers(&world), there: brokers(&world), keep: Box::new(world) }
}

ports::conformance!(fanout, start, tokio::test(start_paused = true));

#[tokio::test(start_paused = true)]
async fn what_is_published_without_a_link_is_lost_and_counted() {
    let world = Arc::new(world().await);
    let (brokers, gateway, to) = (brokers(&world), world.conversations(), life(1, 1));
    let dropped = || world.memory.telemetry.counted("store_dropped_records");
    publish(&brokers, to, [1]).await;
    assert_eq!(dropped(), 1, "nobody consumes yet");
    let mut consumer = consume(&gateway, to, PREFETCH).await;
    publish(&brokers, life(1, 2), [2]).await;
    assert_eq!(dropped(), 2, "another life");
    publish(&brokers, to, [3]).await;
    assert_eq!(take(&mut *consumer, 1).await, [3]);
    world.memory.network.cut();
    assert_eq!(consumer.next().await, Err(ConsumerLost), "the last link is lost");
    publish(&brokers, to, [4]).await;
    assert_eq!(dropped(), 3);
    let mut consumer = consume(&gateway, to, PREFETCH).await;
    publish(&brokers, to, [5]).await;
    assert_eq!(take(&mut *consumer, 1).await, [5]);
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_takes_nothing_holds_nobody_up() {
    let mut world = World::new(Design { fan_out: FanOut::Direct, ..Design::default() });
    let room = 50;
    let limits = StoreLimits { gateway_queue_bytes: 4 * room, ..world.config.limits };
    world.config.gateways = GatewayLinks::new(&world.machine("store-1"), limits);
    world.start().await;
    let world = Arc::new(world);
    let brokers = brokers(&world);
    let gateways = [world.conversations(), world.conversations()];
    let [slow, swift] = [life(1, 1), life(2, 1)];
    let mut slows = consume(&gateways[0], slow, PREFETCH).await;
    let mut swifts = consume(&gateways[1], swift, PREFETCH).await;
    let all: Vec<u32> = (1_000..1_400).collect();
    for part in all.chunks(40) {
        publish(&brokers, slow, part.iter().copied()).await;
        publish(&brokers, swift, part.iter().copied()).await;
        assert_eq!(take(&mut *swifts, part.len()).await, part);
    }
    let telemetry = &world.memory.telemetry;
    assert_eq!(telemetry.gauge_of("store_gateway_queue_bytes"), Some((4 * 50, 4 * 50)));
    assert_eq!(telemetry.counted("store_dropped_records"), (all.len() - WINDOW - room) as u64);
    // Answers do not wait behind what the gateway has not taken.
    assert_eq!(gateways[0].status().await.len(), usize::from(crate::world::PARTITIONS));
    assert_eq!(take(&mut *slows, WINDOW + room).await, all[..WINDOW + room]);
    publish(&brokers, slow, [7]).await;
    assert_eq!(take(&mut *slows, 1).await, [7]);
}

#[tokio::test(start_paused = true)]
async fn every_store_node_feeds_the_same_consumer_whenever_it_comes() {
    let mut first = World::of(2, Design { fan_out: FanOut::Direct, ..Design::default() });
    let mut second = first.neighbour(2);
    first.start().await;
    let (gateway, to) = (first.conversations(), life(1, 1));
    let mut consumer = consume(&gateway, to, PREFETCH).await;
    second.start().await;
    while gateway.status().await.len() < usize::from(crate::world::PARTITIONS) {
        sleep(Duration::from_millis(10)).await;
    }
    for (world, number) in [(&second, 2), (&first, 1)] {
        let message = FanoutMessage { to, message: text(number) };
        assert_eq!(world.config.gateways.publish(vec![message]).await, Ok(()));
        assert_eq!(take(&mut *consumer, 1).await, [number]);
    }
    second.stop().await;
    assert_eq!(consumer.next().await, Err(ConsumerLost), "its network cuts every link");
}
