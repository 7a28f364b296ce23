//! The message queue between gateways, owners and notifiers, split by what is promised.
//!
//! One broker product rarely keeps all of these promises well, and none keeps their union: each trait
//! is small enough for RabbitMQ or for Kafka, and says which of their primitives keeps it. The split
//! is explained in `docs/decisions/broker-queues.md`; what an adapter must do is in `conformance`.
//!
//! No promise of a broker fences anybody. An old owner that still consumes or publishes is stopped by
//! the conversation store, which refuses its epoch, and by receivers, which drop by sequence.

#[cfg(feature = "conformance")]
pub mod conformance;
pub mod dead_letters;
pub mod depths;
pub mod fanout;
pub mod inbound;
pub mod jobs;
mod published;

pub use dead_letters::{DeadLetter, DeadLetters, NewDeadLetter, Origin};
pub use depths::{Depths, Queue};
pub use fanout::{Fanout, FanoutConsumer, FanoutMessage, GatewayLife};
pub use inbound::{ConsumeError, Inbound, InboundConsumer, InboundDelivery, InboundOptions};
pub use jobs::{Job, JobConsumer, JobDelivery, JobSettlement, Jobs};
pub use published::published;

use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// All promises, each by whichever broker keeps it.
#[derive(Clone)]
pub struct Brokers {
    /// From gateways to owners.
    pub inbound: Arc<dyn Inbound>,
    /// From owners to notifiers.
    pub jobs: Arc<dyn Jobs>,
    /// From owners to gateways.
    pub fanout: Arc<dyn Fanout>,
    /// What could not be processed.
    pub dead_letters: Arc<dyn DeadLetters>,
    /// For operators.
    pub depths: Arc<dyn Depths>,
}

impl Brokers {
    /// One broker for all of them.
    pub fn one(broker: Arc<impl Inbound + Jobs + Fanout + DeadLetters + Depths + 'static>) -> Self {
        Self {
            inbound: broker.clone(),
            jobs: broker.clone(),
            fanout: broker.clone(),
            dead_letters: broker.clone(),
            depths: broker,
        }
    }
}

/// Why a durable message was not confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum PublishError {
    /// The queue is full. Certainly not stored.
    #[error("the queue is full")]
    Full,
    /// The connection was lost before the confirm: maybe stored, maybe not. Publish the same again.
    #[error("the broker did not confirm")]
    Unknown,
}

/// The results of a batch, in its order. `Ok`: durable.
pub type Confirms = Vec<Result<(), PublishError>>;

/// The broker cannot be reached, or could not write. What was asked of it may have happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the broker cannot be reached")]
pub struct BrokerUnavailable;

/// The connection of a consumer was lost, or another consumer took its place. Consume again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the consumer was lost")]
pub struct ConsumerLost;
