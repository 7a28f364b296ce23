//! Work for the notifiers: durable, settled one by one.

use super::{BrokerUnavailable, Confirms, ConsumerLost};
use crate::BoxFuture;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Numbered queues of jobs.
///
/// # Promises
/// - A confirmed job is durable, and delivered at least once, until it is settled as `Done` or
///   `DeadLetter`, or gives way. The order of jobs is not promised.
/// - In a full queue the oldest job that nobody has in hand gives way to a newer one, and is counted; a
///   newer one for which there is no room then is `Full`, and counted.
/// - What a lost consumer held comes again, however often. When a failed attempt is repeated, and how
///   often, is the consumer's matter: it holds the job meanwhile.
/// - A job is in the hands of one consumer at a time; where consumers learn late that they are lost, as with Kafka, of
///   an older one and its successor for as long as that takes. Whether several consumers share a queue, or the
///   newest one has it, is the broker's matter.
///
/// # Kept by
/// RabbitMQ: a quorum queue with `x-overflow=drop-head` and a delivery limit that is never reached. Kafka: a
/// partition, with what is settled out of order in the metadata of the commit.
pub trait Jobs: Send + Sync {
    /// Publishes a batch. The future ends with the confirms; see
    /// [`Inbound::publish`](super::Inbound::publish).
    fn publish(&self, batch: Vec<Job>) -> BoxFuture<'static, Confirms>;
    /// Becomes a consumer of a queue, with at most `prefetch` unsettled deliveries.
    fn consume(
        &self,
        queue: u16,
        prefetch: u32,
    ) -> BoxFuture<'static, Result<Box<dyn JobConsumer>, BrokerUnavailable>>;
}

/// A job to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its queue.
    pub queue: u16,
    /// A record of `protocol::records`.
    pub message: Bytes,
}

/// One job in a consumer's hands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobDelivery {
    /// Names it in settlements, within the life of the consumer.
    pub tag: u64,
    /// How often it was handed out before, as far as the broker knows.
    pub redelivered: u32,
    /// The record.
    pub message: Bytes,
}

/// What becomes of a delivered job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobSettlement {
    /// It is done.
    Done {
        /// Which one.
        tag: u64,
    },
    /// It cannot be done.
    DeadLetter {
        /// Which one.
        tag: u64,
        /// Why, for people and for the judge.
        reason: String,
    },
}

/// A consumer of a queue. Dropping it gives back what it did not settle.
pub trait JobConsumer: Send {
    /// The next deliveries, at least one, as many as are there. Cancel safe: dropping the future loses
    /// no delivery.
    fn next(&mut self) -> BoxFuture<'_, Result<Vec<JobDelivery>, ConsumerLost>>;
    /// Settles; in line when it returns, without waiting. Tags that are not held are ignored.
    fn settle(&mut self, settlements: Vec<JobSettlement>);
}
