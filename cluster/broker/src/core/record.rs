//! What is written to the log: the changes to the set of durable messages.
//!
//! Replaying any prefix of the records gives a sound state: each record is one atomic step, and a
//! record about a message that is not there changes nothing.

use bytes::Bytes;
use ports::broker::{DeadLetter, Queue};
use serde::{Deserialize, Serialize};

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// A message was published.
    Stored {
        /// Its number.
        id: u64,
        /// Where to.
        queue: Queue,
        /// The record.
        message: Bytes,
    },
    /// Messages are done, or messages or dead letters gave way to newer ones.
    Settled {
        /// Their numbers.
        ids: Vec<u64>,
    },
    /// A message became a dead letter.
    Died {
        /// Its number as a message.
        id: u64,
        /// Its number as a dead letter.
        dead: u64,
        /// Why.
        reason: String,
        /// How often it was tried.
        attempts: u32,
        /// When, in milliseconds since the Unix epoch.
        at_ms: u64,
    },
    /// A dead letter became a message again, at the end of the queue that it came from.
    Requeued {
        /// Its number as a dead letter.
        dead: u64,
        /// Its number as a message.
        id: u64,
    },
    /// Every message of a queue up to this number was handed out at least once.
    HandedOut {
        /// The queue.
        queue: Queue,
        /// The number.
        through: u64,
    },
    /// A message in full, whatever earlier records say of it.
    Kept {
        /// Its number.
        id: u64,
        /// Its queue.
        queue: Queue,
        /// How often it was handed out.
        handed: u32,
        /// The record.
        message: Bytes,
    },
    /// A dead letter in full, whatever earlier records say of it. If another one of its key is listed,
    /// nothing happens.
    DeadLetter {
        /// Names it within its origin.
        key: Option<u128>,
        /// What is listed.
        dead: DeadLetter,
    },
    /// All that is needed of the segments up to `through` was written again before this record.
    Checkpoint {
        /// The last segment that is not needed any more.
        through: u32,
        /// Numbers below this one were given out.
        next_id: u64,
    },
}
