//! What gateways ask the owners of partitions: ordered, durable, acknowledged up to a position.

use super::{Confirms, ConsumerLost};
use crate::BoxFuture;
use bytes::Bytes;
use protocol::{Epoch, Partition};
use serde::{Deserialize, Serialize};

/// A queue per partition.
///
/// # Promises
/// - A confirmed message is durable, and delivered at least once.
/// - Messages of one partition that one connection published are delivered in the order of the calls.
/// - One consumer of a partition at a time. What it did not acknowledge comes again, before everything
///   newer and in its order, to it or to the next consumer.
/// - Nothing is settled out of order: there is no single acknowledgement, no retry, no dead letter. Who
///   finds a message that cannot be processed puts it among the [`DeadLetters`](super::DeadLetters)
///   and acknowledges it then.
///
/// # Not promised
/// Fencing. Two consumers may believe in themselves for a while, and both may hold the same messages.
///
/// # Kept by
/// RabbitMQ: a quorum queue with `x-single-active-consumer` and publisher confirms; an acknowledgement
/// is `basic.ack` with `multiple`. Kafka: a partition, `acks=all` with the idempotent producer, a
/// manual assignment that is claimed in the metadata of commits; an acknowledgement commits the offset.
pub trait Inbound: Send + Sync {
    /// Publishes a batch. It is in line when this returns: the order of calls is the order of delivery
    /// per partition. The future ends with the confirms. While the broker is away it ends with
    /// `Unknown`; the adapter reconnects on its own and never publishes twice on its own.
    fn publish(&self, batch: Vec<(Partition, Bytes)>) -> BoxFuture<'static, Confirms>;
    /// Becomes the consumer of a partition.
    fn consume(
        &self,
        partition: Partition,
        options: InboundOptions,
    ) -> BoxFuture<'static, Result<Box<dyn InboundConsumer>, ConsumeError>>;
}

/// How a partition is consumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InboundOptions {
    /// Most unacknowledged deliveries.
    pub prefetch: u32,
    /// A hint: of two consumers the broker may prefer the one with the higher epoch.
    pub epoch: Epoch,
}

/// Why a partition cannot be consumed now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum ConsumeError {
    /// Another consumer has it, and the broker prefers that one.
    #[error("another consumer has it")]
    Taken,
    /// The broker cannot be reached.
    #[error("the broker cannot be reached")]
    Unavailable,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboundDelivery {
    /// Rises within the life of a consumer; means nothing beyond it.
    pub position: u64,
    /// It may have been handed out before. False: certainly not.
    pub redelivered: bool,
    /// A record of `protocol::records`.
    pub message: Bytes,
}

/// The consumer of a partition. Dropping it gives the partition up.
pub trait InboundConsumer: Send {
    /// The next deliveries, at least one, as many as are there. Cancel safe: dropping the future loses
    /// no delivery.
    fn next(&mut self) -> BoxFuture<'_, Result<Vec<InboundDelivery>, ConsumerLost>>;
    /// Everything up to this position is done. In line when it returns, without waiting; lost with the
    /// connection, and then delivered again.
    fn acknowledge(&mut self, through: u64);
}
