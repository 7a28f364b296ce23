//! What the core is given once, and what it asks of the shell.

use super::message::ConsumerId;
use super::record::Record;
use ports::broker::PublishError;
use protocol::design::{Poison, Requeue};
use protocol::limits::BrokerLimits;

/// What is fixed for the life of a broker.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rules {
    /// What it holds, at most.
    pub limits: BrokerLimits,
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
    /// Messages published.
    pub published: u64,
    /// Deliveries that were not the first.
    pub redelivered: u64,
    /// Messages that became dead letters.
    pub dead_lettered: u64,
    /// Messages that a full gateway queue refused.
    pub dropped: u64,
    /// Messages that a full durable queue refused.
    pub refused: u64,
    /// Jobs that had to give way to newer ones, or found no room.
    pub shed_jobs: u64,
    /// Dead letters that had to give way to newer ones, or found no room.
    pub shed_dead_letters: u64,
    /// Segments that were begun behind others.
    pub rotated: u64,
    /// Times that old segments were written again and given up.
    pub compacted: u64,
}
