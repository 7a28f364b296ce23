//! A message inside a queue.

use bytes::Bytes;
use ports::broker::{InboundOptions, JobSettlement};
use protocol::Epoch;
use serde::{Deserialize, Serialize};

/// Names one subscription for the lifetime of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConsumerId(pub u64);

/// A message that waits, or is in a consumer's hands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its number in the log, rising over all queues; 0 in a queue in memory.
    pub id: u64,
    /// Its place in its queue: kept while it is handed out, so that it can go back there.
    pub position: u64,
    /// The oldest log segment that is needed to restore it; 0: none.
    pub segment: u32,
    /// How often it was handed out.
    pub handed: u32,
    /// The record.
    pub bytes: Bytes,
}

impl Message {
    /// A message that nobody has seen.
    pub fn new(id: u64, segment: u32, bytes: Bytes) -> Self {
        Self { id, position: 0, segment, handed: 0, bytes }
    }

    /// What it weighs against limits of bytes and in the log: its record and about what is stored
    /// beside it.
    pub fn weight(&self) -> u64 {
        weight(&self.bytes)
    }
}

/// A message handed to a consumer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Names it in settlements; rises within the life of a consumer.
    pub tag: u64,
    /// How often it was handed out before.
    pub redelivered: u32,
    /// The record.
    pub message: Bytes,
}

/// What a consumer says of its deliveries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Settlement {
    /// All up to this tag are done.
    Through(u64),
    /// One of them.
    One(JobSettlement),
}

/// How a consumer wants a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsumerOptions {
    /// Most unsettled deliveries.
    pub prefetch: u32,
    /// A lower one does not take the queue from a higher one; an equal one does (a reconnect).
    pub epoch: Epoch,
}

impl ConsumerOptions {
    /// The newest consumer has the queue.
    pub fn newest(prefetch: u32) -> Self {
        Self { prefetch, epoch: Epoch(0) }
    }
}

impl From<InboundOptions> for ConsumerOptions {
    fn from(InboundOptions { prefetch, epoch }: InboundOptions) -> Self {
        Self { prefetch, epoch }
    }
}

/// What a record weighs: see [`Message::weight`].
pub fn weight(bytes: &Bytes) -> u64 {
    bytes.len() as u64 + 32
}
