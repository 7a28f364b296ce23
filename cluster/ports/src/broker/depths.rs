//! How much waits where, for operators.

use super::{BrokerUnavailable, GatewayLife, Origin};
use crate::BoxFuture;
use protocol::Partition;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The lengths of the queues.
///
/// # Kept by
/// RabbitMQ: the management API (passive declarations leave out what a consumer holds). Kafka: the lag of
/// the consumer.
pub trait Depths: Send + Sync {
    /// The number of messages in each queue that has any, at about this time.
    fn depths(&self) -> BoxFuture<'static, Result<Vec<(Queue, u64)>, BrokerUnavailable>>;
}

/// The name of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Queue {
    /// What gateways ask a partition's owner.
    Inbound(Partition),
    /// What owners tell one life of a gateway.
    Gateway(GatewayLife),
    /// Jobs of the notifiers.
    Jobs(u16),
    /// What could not be processed.
    DeadLetters,
}

/// As operators and reports call it.
impl fmt::Display for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inbound(partition) => write!(f, "inbound-{partition}"),
            Self::Gateway(GatewayLife { gateway, incarnation }) => {
                write!(f, "gateway-{gateway}-{incarnation}")
            }
            Self::Jobs(queue) => write!(f, "notify-{queue}"),
            Self::DeadLetters => f.write_str("dead"),
        }
    }
}

impl From<Origin> for Queue {
    fn from(origin: Origin) -> Self {
        match origin {
            Origin::Inbound(partition) => Self::Inbound(partition),
            Origin::Jobs(queue) => Self::Jobs(queue),
        }
    }
}
