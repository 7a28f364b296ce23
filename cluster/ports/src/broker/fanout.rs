//! What owners tell one life of a gateway: quick, in memory, and it may be lost.

use super::{BrokerUnavailable, ConsumerLost};
use crate::BoxFuture;
use bytes::Bytes;
use protocol::records::SessionRef;
use protocol::{GatewayId, Incarnation, SessionId};
use serde::{Deserialize, Serialize};

/// A queue per life of a gateway.
///
/// # Promises
/// - What arrives from one publisher arrives in the order of its calls.
/// - A gateway's new life gets nothing that was published for an earlier one.
///
/// # Not promised
/// Delivery. A queue that is full, or that nobody consumes, drops without a word. Gateways find what
/// they lack by the heads that owners send over their links, and read it from the store.
///
/// # Kept by
/// RabbitMQ: an exclusive, bounded, transient queue per life, bound to a direct exchange. Kafka: a
/// partition per gateway, read from the moment on at which its consumer comes. No broker at all: the links between gateways and store nodes.
pub trait Fanout: Send + Sync {
    /// Publishes a batch. It is in line when this returns: the order of calls is the order of delivery
    /// per gateway. `Ok`: the broker has it, and may drop it.
    fn publish(
        &self,
        batch: Vec<FanoutMessage>,
    ) -> BoxFuture<'static, Result<(), BrokerUnavailable>>;
    /// Becomes the consumer of a gateway's life; every earlier consumer of this gateway is lost, and
    /// its queue with it. At most `prefetch` deliveries wait on this side.
    fn consume(
        &self,
        life: GatewayLife,
        prefetch: u32,
    ) -> BoxFuture<'static, Result<Box<dyn FanoutConsumer>, BrokerUnavailable>>;
}

/// One life of a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GatewayLife {
    /// The gateway.
    pub gateway: GatewayId,
    /// Its life.
    pub incarnation: Incarnation,
}

impl From<SessionRef> for GatewayLife {
    fn from(SessionRef { gateway, incarnation, session: SessionId(_) }: SessionRef) -> Self {
        Self { gateway, incarnation }
    }
}

/// Something to tell a gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FanoutMessage {
    /// Whom.
    pub to: GatewayLife,
    /// A record of `protocol::records`.
    pub message: Bytes,
}

/// The consumer of a gateway's queue. Dropping it ends the queue.
pub trait FanoutConsumer: Send {
    /// The next records, at least one, as many as are there; they are gone from the queue. Cancel
    /// safe: dropping the future loses no record.
    fn next(&mut self) -> BoxFuture<'_, Result<Vec<Bytes>, ConsumerLost>>;
}
