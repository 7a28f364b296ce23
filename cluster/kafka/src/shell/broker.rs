//! The adapter of the ports.
//!
//! - Publishes that are not confirmed in time end as `Unknown`. The client sends a batch again as long as that
//!   cannot double or reorder it; nothing is published again by the adapter itself.
//! - Publishes before the topics are there are not sent at all. They end as `Unknown` too, as soon as they
//!   are there, or after a second.
//! - `consume` tries again on its own for `limits::CALL_TIMEOUT`, then it is `Unavailable`.

use super::consumers::{OneByOne, Ordered};
use super::dead_letters::Letters;
use super::publisher::Outgoing;
use super::reader::{self, Wanted};
use super::uplink::{Offsets, Uplink};
use super::{depths, gateways, set_up};
use crate::config::KafkaConfig;
use crate::core::gateways::Key;
use ports::broker::{
    BrokerUnavailable, Confirms, ConsumeError, DeadLetter, DeadLetters, Depths, Fanout,
    FanoutConsumer, FanoutMessage, GatewayLife, Inbound, InboundConsumer, InboundOptions, Job,
    JobConsumer, Jobs, NewDeadLetter, Origin, PublishError, Queue,
};
use ports::{BoxFuture, Machine};
use protocol::{Partition, limits};
use rdkafka::error::KafkaError;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::task::AbortHandle;
use tokio::time::timeout;

/// A node's clients of Kafka. Consumers outlive it until they are dropped themselves.
pub struct KafkaBroker {
    uplink: Arc<Uplink>,
    letters: Arc<Letters>,
    background: Vec<AbortHandle>,
}

/// Why there are no clients.
#[derive(Debug, thiserror::Error)]
pub enum NoClients {
    /// This build has none of this kind.
    #[error("{0}")]
    Unsupported(&'static str),
    /// The settings are refused before anything is connected.
    #[error("the client of Kafka refuses its settings")]
    Refused(#[from] KafkaError),
}

impl KafkaBroker {
    /// Connects in the background, again and again.
    ///
    /// # Errors
    /// The settings cannot work, wherever Kafka is.
    pub fn start(machine: Machine, config: &KafkaConfig) -> Result<Arc<Self>, NoClients> {
        if let Some(why) = config.unsupported() {
            return Err(NoClients::Unsupported(why));
        }
        let (uplink, removable) = Uplink::new(machine, config)?;
        let uplink = Arc::new(uplink);
        let letters = Arc::new(Letters::new(Arc::clone(&uplink)));
        let spawn = |name, task| uplink.machine.spawn(name, task);
        let tasks: [(_, BoxFuture<'static, ()>); 3] = [
            ("kafka set-up", Box::pin(Arc::clone(&uplink).set_up())),
            ("kafka room", Box::pin(depths::keep_room(Arc::clone(&uplink)))),
            ("kafka removal", Box::pin(set_up::remove_needless(Arc::clone(&uplink), removable))),
        ];
        let background = tasks.into_iter().map(|(name, task)| spawn(name, task)).collect();
        Ok(Arc::new(Self { uplink, letters, background }))
    }

    /// Ends when the topics are there.
    pub async fn connected(&self) {
        self.uplink.ready().await;
    }
}

impl Drop for KafkaBroker {
    fn drop(&mut self) {
        self.background.iter().for_each(AbortHandle::abort);
    }
}

fn confirms(offsets: Offsets) -> Confirms {
    offsets.into_iter().map(|confirm| confirm.map(drop)).collect()
}

impl Inbound for KafkaBroker {
    fn publish(&self, batch: Vec<(Partition, bytes::Bytes)>) -> BoxFuture<'static, Confirms> {
        let (topology, sampler) = (&self.uplink.topology, self.uplink.sampler());
        let outgoing = batch.into_iter().map(|(partition, message)| Outgoing {
            bounded: Some(partition),
            parent: sampler.parent_of_inbound(&message),
            ..Outgoing::unbounded(topology, Origin::Inbound(partition), message)
        });
        let published = self.uplink.publish(outgoing.collect());
        Box::pin(async move { confirms(published.await) })
    }

    fn consume(
        &self,
        partition: Partition,
        options: InboundOptions,
    ) -> BoxFuture<'static, Result<Box<dyn InboundConsumer>, ConsumeError>> {
        let uplink = Arc::clone(&self.uplink);
        Box::pin(async move {
            let wanted = Wanted {
                place: uplink.topology.place(Origin::Inbound(partition)),
                epoch: options.epoch.0,
                prefetch: options.prefetch,
                most: None,
            };
            let deliveries = reader::begin(&uplink, wanted).await?;
            Ok(Box::new(Ordered { deliveries }) as Box<dyn InboundConsumer>)
        })
    }
}

impl Jobs for KafkaBroker {
    fn publish(&self, batch: Vec<Job>) -> BoxFuture<'static, Confirms> {
        let (topology, sampler) = (&self.uplink.topology, self.uplink.sampler());
        let outgoing = batch.into_iter().map(|Job { queue, message }| Outgoing {
            parent: sampler.parent_of_job(&message),
            ..Outgoing::unbounded(topology, Origin::Jobs(queue), message)
        });
        let published = self.uplink.publish(outgoing.collect());
        Box::pin(async move { confirms(published.await) })
    }

    fn consume(
        &self,
        queue: u16,
        prefetch: u32,
    ) -> BoxFuture<'static, Result<Box<dyn JobConsumer>, BrokerUnavailable>> {
        let (uplink, letters) = (Arc::clone(&self.uplink), Arc::clone(&self.letters));
        Box::pin(async move {
            let wanted = Wanted {
                place: uplink.topology.place(Origin::Jobs(queue)),
                // Notifiers have none: the newest one has the queue.
                epoch: 0,
                prefetch,
                most: Some(uplink.limits.notify_queue_messages as u64),
            };
            let deliveries = reader::begin(&uplink, wanted).await.map_err(|_| BrokerUnavailable)?;
            let held = BTreeMap::new();
            let consumer = OneByOne { uplink, letters, queue, deliveries, held };
            Ok(Box::new(consumer) as Box<dyn JobConsumer>)
        })
    }
}

impl Fanout for KafkaBroker {
    fn publish(
        &self,
        batch: Vec<FanoutMessage>,
    ) -> BoxFuture<'static, Result<(), BrokerUnavailable>> {
        let (topology, sampler) = (&self.uplink.topology, self.uplink.sampler());
        let outgoing = batch.into_iter().map(|FanoutMessage { to, message }| Outgoing {
            place: topology.gateway(to),
            key: Some(Key::of(to).encode()),
            parent: sampler.parent_to_gateway(&message),
            message,
            bounded: None,
        });
        let told = self.uplink.tell(outgoing.collect());
        Box::pin(async move {
            let all = told.await.iter().all(Result::is_ok);
            if all { Ok(()) } else { Err(BrokerUnavailable) }
        })
    }

    fn consume(
        &self,
        life: GatewayLife,
        prefetch: u32,
    ) -> BoxFuture<'static, Result<Box<dyn FanoutConsumer>, BrokerUnavailable>> {
        let uplink = Arc::clone(&self.uplink);
        Box::pin(async move {
            let told = gateways::begin(&uplink, life, prefetch).await?;
            Ok(Box::new(told) as Box<dyn FanoutConsumer>)
        })
    }
}

impl DeadLetters for KafkaBroker {
    fn put(&self, dead: NewDeadLetter) -> BoxFuture<'static, Result<(), PublishError>> {
        self.letters.put(dead)
    }

    fn list(
        &self,
        after: u64,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<DeadLetter>, BrokerUnavailable>> {
        let letters = Arc::clone(&self.letters);
        Box::pin(async move { letters.list(after, limit).await })
    }

    fn requeue(&self, id: u64) -> BoxFuture<'static, Result<bool, BrokerUnavailable>> {
        let letters = Arc::clone(&self.letters);
        Box::pin(async move { letters.requeue(id).await })
    }
}

impl Depths for KafkaBroker {
    fn depths(&self) -> BoxFuture<'static, Result<Vec<(Queue, u64)>, BrokerUnavailable>> {
        let (uplink, letters) = (Arc::clone(&self.uplink), Arc::clone(&self.letters));
        Box::pin(async move {
            if !uplink.ready_within(limits::CALL_TIMEOUT).await {
                return Err(BrokerUnavailable);
            }
            let queues = uplink.topology.queues();
            let asked = uplink.ask_again(move |client| depths::waiting(client, &queues));
            let asked = timeout(limits::CALL_TIMEOUT, asked).await;
            let mut found = asked.map_err(|_| BrokerUnavailable)?.map_err(|error| {
                tracing::warn!(%error, "the depths are not known");
                BrokerUnavailable
            })?;
            let dead = letters.count().await?;
            if dead > 0 {
                found.push((Queue::DeadLetters, dead));
            }
            found.sort_unstable();
            Ok(found)
        })
    }
}
