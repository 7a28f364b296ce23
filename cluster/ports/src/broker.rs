//! The message queue between gateways, owners and notifiers.

use crate::BoxFuture;
use bytes::Bytes;
use protocol::{Epoch, GatewayId, Incarnation, Partition};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A queue. `Inbound` and `Notify` and `Dead` are durable; a gateway's lives as long as its
/// incarnation's subscription and is bounded and in memory (gaps are repaired from the store).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Queue {
    /// What gateways ask a partition's owner.
    Inbound(Partition),
    /// What owners tell one life of a gateway.
    Gateway(GatewayId, Incarnation),
    /// Push jobs, by hash of the user.
    Notify(u16),
    /// What could not be processed.
    Dead,
}

/// Where a publication goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Destination {
    /// The queue.
    pub queue: Queue,
    /// Visible to consumers only after this long (durable queues only).
    pub delay: Option<Duration>,
}

impl From<Queue> for Destination {
    fn from(queue: Queue) -> Self {
        Self { queue, delay: None }
    }
}

/// Something to publish.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publication {
    /// Where to.
    pub to: Destination,
    /// A record of `protocol::records`.
    pub message: Bytes,
}

/// Why a publication was not confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum PublishError {
    /// No such queue (a gateway's earlier life). Certainly not stored.
    #[error("no such queue")]
    Unroutable,
    /// The queue is full. Certainly not stored.
    #[error("the queue is full")]
    Full,
    /// The connection was lost before the confirm: maybe stored, maybe not. Publish the same again.
    #[error("the broker did not confirm")]
    Unknown,
}

/// One message handed to a consumer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Names it in settlements; rises within a subscription.
    pub tag: u64,
    /// How often it was handed out before.
    pub redelivered: u32,
    /// Messages were dropped from the (gateway) queue right before this one.
    pub lossy: bool,
    /// The record.
    pub message: Bytes,
}

/// What a consumer says of its deliveries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Settlement {
    /// All up to this tag are done.
    AckThrough(u64),
    /// This one is done.
    Ack(u64),
    /// This one goes back to where it was; that is no attempt at it.
    Requeue(u64),
    /// This one comes again after a delay; its delivery count rises, and at the delivery limit it
    /// becomes a dead letter.
    Retry {
        /// Which one.
        tag: u64,
        /// When.
        after: Duration,
    },
    /// This one cannot be processed.
    DeadLetter {
        /// Which one.
        tag: u64,
        /// Why, for people and for the judge.
        reason: String,
    },
}

/// The connection of a subscription was lost, or another consumer with a higher epoch took the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the subscription was lost")]
pub struct SubscriptionLost;

/// Why a queue could not be subscribed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum SubscribeError {
    /// A consumer with a higher epoch was seen on this queue.
    #[error("fenced: epoch {current} was seen")]
    Fenced {
        /// The highest epoch seen.
        current: Epoch,
    },
    /// The broker cannot be reached.
    #[error("the broker cannot be reached")]
    Unavailable,
}

/// How a consumer wants a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscribeOptions {
    /// Most unsettled deliveries.
    pub prefetch: u32,
    /// The consumer's fencing number: a higher one takes the queue from a lower one, an equal one
    /// from itself (a reconnect). Every queue has one active consumer at a time.
    pub epoch: Epoch,
}

/// A dead letter, for the admin API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Names it for ever.
    pub id: u64,
    /// The queue that it came from.
    pub queue: Queue,
    /// Why.
    pub reason: String,
    /// How often it was tried.
    pub attempts: u32,
    /// The broker's wall clock when it died.
    pub at_ms: u64,
    /// The record.
    pub message: Bytes,
}

/// The broker could not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the broker cannot be reached")]
pub struct BrokerUnavailable;

/// The results of a batch, in its order.
pub type Confirms = Vec<Result<(), PublishError>>;

/// A connection to the broker, shared by all tasks of a node.
pub trait Broker: Send + Sync {
    /// Publishes a batch. The batch is in line when this returns: the order of calls is the order of
    /// delivery per queue. The future ends with the confirms: for a durable queue `Ok` means
    /// forced to disk. While the broker is away the future resolves to `Unknown` for what was under
    /// way; the adapter reconnects on its own and never publishes twice on its own.
    fn publish(&self, batch: Vec<Publication>) -> BoxFuture<'static, Confirms>;
    /// Becomes the active consumer of a queue (and makes a gateway's queue). Unsettled deliveries of
    /// the previous consumer come first, in their order, with `redelivered` raised.
    fn subscribe(
        &self,
        queue: Queue,
        options: SubscribeOptions,
    ) -> BoxFuture<'static, Result<Box<dyn Subscription>, SubscribeError>>;
    /// Dead letters behind an id, oldest first.
    fn dead_letters(
        &self,
        after: u64,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<DeadLetter>, BrokerUnavailable>>;
    /// Puts a dead letter back at the end of the queue that it came from; false if there is none of
    /// this id.
    fn requeue_dead_letter(&self, id: u64) -> BoxFuture<'static, Result<bool, BrokerUnavailable>>;
    /// The number of messages in each queue that has any.
    fn depths(&self) -> BoxFuture<'static, Result<Vec<(Queue, u64)>, BrokerUnavailable>>;
}

/// An active consumer. Dropping it gives the queue up; unsettled deliveries go back.
pub trait Subscription: Send {
    /// The next deliveries, at least one, as many as are there. Cancel safe: dropping the future loses
    /// no delivery.
    fn next(&mut self) -> BoxFuture<'_, Result<Vec<Delivery>, SubscriptionLost>>;
    /// Settles; in line when it returns, without waiting.
    fn settle(&mut self, settlements: Vec<Settlement>);
}
