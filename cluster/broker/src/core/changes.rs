//! What the core is given once, and what it asks of the shell.

use super::message::ConsumerId;
use super::record::Record;
use ports::broker::PublishError;
use protocol::design::{Poison, Requeue};

/// What is fixed for the life of a broker.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Failed attempts at one message.
    pub delivery_limit: u32,
    /// Messages waiting in one gateway queue.
    pub gateway_queue_messages: usize,
    /// Messages held by one durable queue, and dead letters.
    pub durable_queue_messages: usize,
    /// About the size of a log segment.
    pub segment_bytes: u64,
    /// Where the messages of a lost consumer go.
    pub requeue: Requeue,
    /// What becomes of a message that cannot be processed.
    pub poison: Poison,
}

/// What became of a publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    /// It is in its queue.
    Done,
    /// It will be when its record is committed.
    Pending,
    /// It was refused.
    Refused(PublishError),
}

/// What the shell must do after calls.
#[derive(Debug, Default)]
pub struct Changes {
    /// To be written, in this order.
    pub records: Vec<Record>,
    /// Somebody waits for the records.
    pub urgent: bool,
    /// Consumers that can take something.
    pub wake: Vec<ConsumerId>,
    /// Consumers that lost their queue.
    pub lost: Vec<ConsumerId>,
    /// Something may be due earlier than before.
    pub timer: bool,
    /// Messages published.
    pub published: u64,
    /// Deliveries that were not the first.
    pub redelivered: u64,
    /// Messages that became dead letters.
    pub dead_lettered: u64,
    /// Messages that a full gateway queue refused.
    pub dropped: u64,
}
