//! What could not be processed, kept with its reason until somebody looks at it.

use super::{BrokerUnavailable, PublishError, Queue};
use crate::BoxFuture;
use bytes::Bytes;
use protocol::Partition;
use serde::{Deserialize, Serialize};

/// The dead letters of a cluster.
///
/// # Promises
/// - A dead letter that was put or listed is durable. Its id names it for ever, and ids rise in the order
///   in which they are listed.
/// - Putting the same again changes nothing: see [`NewDeadLetter::key`].
/// - When there are too many, the oldest gives way to a newer one, and is counted.
/// - A dead letter is requeued at most once, and it is in its queue again when that is answered.
///
/// # Kept by
/// A table of a database. RabbitMQ: a queue that one reader at a time reads as a whole, because a queue finds
/// nothing by its id. Kafka: a log of what was done to them, which every reader folds into the same table.
pub trait DeadLetters: Send + Sync {
    /// Keeps a message. `Full`: there is no room for it, and it is counted; to wait for room could take
    /// for ever.
    fn put(&self, dead: NewDeadLetter) -> BoxFuture<'static, Result<(), PublishError>>;
    /// Dead letters behind an id, oldest first.
    fn list(
        &self,
        after: u64,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<DeadLetter>, BrokerUnavailable>>;
    /// Puts one back at the end of the queue that it came from; false if there is none of this id.
    fn requeue(&self, id: u64) -> BoxFuture<'static, Result<bool, BrokerUnavailable>>;
}

/// The queue that a dead letter came from and goes back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Origin {
    /// A partition's inbound queue.
    Inbound(Partition),
    /// A queue of jobs.
    Jobs(u16),
}

impl Origin {
    /// The origin of a queue's dead letters; a gateway's queue has none.
    pub fn of(queue: Queue) -> Option<Self> {
        match queue {
            Queue::Inbound(partition) => Some(Self::Inbound(partition)),
            Queue::Jobs(queue) => Some(Self::Jobs(queue)),
            Queue::Gateway(_) | Queue::DeadLetters => None,
        }
    }
}

/// A message to be kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewDeadLetter {
    /// Where it came from.
    pub origin: Origin,
    /// Names the message within its origin: while a dead letter of this key is kept, another one is
    /// the same.
    pub key: u128,
    /// Why, for people and for the judge.
    pub reason: String,
    /// How often it was tried.
    pub attempts: u32,
    /// The record.
    pub message: Bytes,
}

/// A message that is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Names it for ever.
    pub id: u64,
    /// The queue that it came from.
    pub origin: Origin,
    /// Why.
    pub reason: String,
    /// How often it was tried.
    pub attempts: u32,
    /// The broker's wall clock when it died.
    pub at_ms: u64,
    /// The record.
    pub message: Bytes,
}
