//! What is fixed for the life of a broker.

use crate::core::Limits;
use link::LinkTiming;
use protocol::{Design, limits};

/// The configuration of a broker.
#[derive(Clone, Copy, Debug)]
pub struct BrokerConfig {
    /// The design choices; the broker looks at `fsync`, `requeue` and `poison`.
    pub design: Design,
    /// Heartbeats and deadlines of the links to its clients.
    pub timing: LinkTiming,
    /// Failed attempts (`Retry`) at a message that make it a dead letter; at least 1. Neither `Requeue`
    /// nor the loss of a consumer counts.
    pub delivery_limit: u32,
    /// Messages waiting in one gateway queue before it overflows.
    pub gateway_queue_messages: usize,
    /// Messages held by one durable queue before publishers are refused; also the most dead letters.
    pub durable_queue_messages: usize,
    /// About the size of a log segment, in bytes.
    pub segment_bytes: u64,
}

impl Default for BrokerConfig {
    fn default() -> Self {
        Self {
            design: Design::default(),
            timing: LinkTiming::default(),
            delivery_limit: limits::DELIVERY_LIMIT,
            gateway_queue_messages: limits::GATEWAY_QUEUE_MESSAGES,
            durable_queue_messages: limits::DURABLE_QUEUE_MESSAGES,
            segment_bytes: limits::BROKER_SEGMENT_BYTES,
        }
    }
}

impl BrokerConfig {
    /// What the core needs of it.
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            delivery_limit: self.delivery_limit,
            gateway_queue_messages: self.gateway_queue_messages,
            durable_queue_messages: self.durable_queue_messages,
            segment_bytes: self.segment_bytes,
            requeue: self.design.requeue,
            poison: self.design.poison,
        }
    }
}
