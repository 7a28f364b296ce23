//! The adapter of the ports.
//!
//! - Publishes that are under way when the link is lost end as `Unknown`; nothing is ever published again
//!   by the adapter itself.
//! - Publishes while there is no link, or while RabbitMQ takes nothing, are not sent at all. They end as
//!   `Unknown` too, as soon as that is over, or after a second: the caller's retry then goes out at once
//!   and in its order, and a caller that retries in a loop does not spin.
//! - `consume` tries again on its own for `limits::CALL_TIMEOUT`, then it is `Unavailable`.

use super::consumers::{OneByOne, Ordered, Unsettled};
use super::consuming::{Source, consume, to_its_end};
use super::dead_letters::{Writer, unavailable};
use super::depths::Manager;
use super::messages;
use super::uplink::Uplink;
use crate::config::RabbitConfig;
use crate::core::acknowledged::Acknowledged;
use crate::core::topology::Destination;
use bytes::Bytes;
use ports::broker::{
    BrokerUnavailable, Confirms, ConsumeError, DeadLetter, DeadLetters, Depths, Fanout,
    FanoutConsumer, FanoutMessage, GatewayLife, Inbound, InboundConsumer, InboundOptions, Job,
    JobConsumer, Jobs, NewDeadLetter, PublishError, Queue, published,
};
use ports::{BoxFuture, Machine};
use protocol::{Partition, limits};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

/// A node's connections to RabbitMQ. Dropping it closes them and loses its consumers.
pub struct RabbitBroker {
    uplink: Arc<Uplink>,
    dead: Arc<Writer>,
    manager: Arc<Manager>,
    supervisor: AbortHandle,
}

impl RabbitBroker {
    /// Connects in the background, again and again.
    ///
    /// # Panics
    /// The configuration has no address.
    pub fn start(machine: Machine, config: RabbitConfig) -> Arc<Self> {
        let manager = Arc::new(Manager::new(machine.clone()));
        let uplink = Arc::new(Uplink::new(machine, config));
        let supervisor = uplink.machine.spawn("rabbitmq link", Arc::clone(&uplink).supervise());
        let dead = Arc::new(Writer::new(Arc::clone(&uplink)));
        Arc::new(Self { uplink, dead, manager, supervisor })
    }

    /// Ends when there is a link.
    pub async fn connected(&self) {
        self.uplink.connected().await;
    }

    /// Publishes what is kept.
    fn publish(&self, batch: Vec<(Destination, Bytes)>) -> BoxFuture<'static, Confirms> {
        let count = batch.len();
        let uplink = Arc::clone(&self.uplink);
        let batch = batch.into_iter().map(|(to, message)| (to, message, uplink.durable()));
        let began = Instant::now();
        let pending = uplink.put(batch);
        let uplink = Arc::clone(&self.uplink);
        Box::pin(async move {
            let confirms = uplink.confirms(pending, count).await;
            published(&*uplink.machine.telemetry, began.elapsed(), &confirms);
            confirms
        })
    }
}

impl Drop for RabbitBroker {
    fn drop(&mut self) {
        self.supervisor.abort();
        self.uplink.disconnect();
    }
}

impl Inbound for RabbitBroker {
    fn publish(&self, batch: Vec<(Partition, Bytes)>) -> BoxFuture<'static, Confirms> {
        self.publish(batch.into_iter().map(|(to, it)| (Destination::Inbound(to), it)).collect())
    }

    fn consume(
        &self,
        partition: Partition,
        options: InboundOptions,
    ) -> BoxFuture<'static, Result<Box<dyn InboundConsumer>, ConsumeError>> {
        let uplink = Arc::clone(&self.uplink);
        Box::pin(async move {
            let from = Source::Durable(Destination::Inbound(partition));
            let consuming = consume(&uplink, from, options.prefetch).await;
            let deliveries = consuming.map_err(|_| ConsumeError::Unavailable)?;
            let acknowledged = Acknowledged::default();
            Ok(Box::new(Ordered { deliveries, acknowledged }) as Box<dyn InboundConsumer>)
        })
    }
}

impl Jobs for RabbitBroker {
    fn publish(&self, batch: Vec<Job>) -> BoxFuture<'static, Confirms> {
        let batch = batch.into_iter().map(|job| (Destination::Jobs(job.queue), job.message));
        self.publish(batch.collect())
    }

    fn consume(
        &self,
        queue: u16,
        prefetch: u32,
    ) -> BoxFuture<'static, Result<Box<dyn JobConsumer>, BrokerUnavailable>> {
        let (uplink, dead) = (Arc::clone(&self.uplink), Arc::clone(&self.dead));
        Box::pin(async move {
            let from = Source::Durable(Destination::Jobs(queue));
            let deliveries = consume(&uplink, from, prefetch).await?;
            let held = BTreeMap::new();
            let consumer = OneByOne { uplink: Arc::clone(&uplink), dead, queue, deliveries, held };
            Ok(Box::new(consumer) as Box<dyn JobConsumer>)
        })
    }
}

impl Fanout for RabbitBroker {
    fn publish(
        &self,
        batch: Vec<FanoutMessage>,
    ) -> BoxFuture<'static, Result<(), BrokerUnavailable>> {
        let count = batch.len();
        let batch = batch.into_iter().map(|FanoutMessage { to, message }| {
            (Destination::Gateway(to), message, messages::transient())
        });
        let pending = self.uplink.put(batch);
        let uplink = Arc::clone(&self.uplink);
        Box::pin(async move {
            let unknown = Err(PublishError::Unknown);
            let confirms = uplink.confirms(pending, count).await;
            if confirms.contains(&unknown) { Err(BrokerUnavailable) } else { Ok(()) }
        })
    }

    fn consume(
        &self,
        life: GatewayLife,
        prefetch: u32,
    ) -> BoxFuture<'static, Result<Box<dyn FanoutConsumer>, BrokerUnavailable>> {
        let uplink = Arc::clone(&self.uplink);
        Box::pin(async move {
            let nonce = uplink.machine.entropy.next_u64();
            let from = Source::Gateway { life, nonce };
            let deliveries = consume(&uplink, from, prefetch).await?;
            let new =
                (Destination::Takeover(life.gateway), Bytes::new(), messages::takeover(nonce));
            let pending = uplink.put([new]);
            if uplink.confirms(pending, 1).await != [Ok(())] {
                // An earlier consumer may not know of this one.
                return Err(BrokerUnavailable);
            }
            Ok(Box::new(Unsettled { nonce, deliveries }) as Box<dyn FanoutConsumer>)
        })
    }
}

impl DeadLetters for RabbitBroker {
    fn put(&self, dead: NewDeadLetter) -> BoxFuture<'static, Result<(), PublishError>> {
        self.dead.put(dead)
    }

    fn list(
        &self,
        after: u64,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<DeadLetter>, BrokerUnavailable>> {
        let dead = Arc::clone(&self.dead);
        Box::pin(async move {
            let listed = timeout(limits::CALL_TIMEOUT, dead.list(after, limit)).await;
            listed.map_err(|_| BrokerUnavailable)?.map_err(|error| unavailable(&error))
        })
    }

    fn requeue(&self, id: u64) -> BoxFuture<'static, Result<bool, BrokerUnavailable>> {
        let (uplink, dead) = (Arc::clone(&self.uplink), Arc::clone(&self.dead));
        // A caller who gives up between the publish and what removes it would leave it in both places.
        let requeueing = async move { dead.requeue(id).await };
        Box::pin(async move { to_its_end(&uplink.machine, requeueing).await })
    }
}

impl Depths for RabbitBroker {
    fn depths(&self) -> BoxFuture<'static, Result<Vec<(Queue, u64)>, BrokerUnavailable>> {
        let (uplink, manager) = (Arc::clone(&self.uplink), Arc::clone(&self.manager));
        Box::pin(async move { manager.depths(&uplink).await })
    }
}
