//! The decisions of the broker: synchronous, without I/O, clock or randomness.
//!
//! A durable change goes through three steps, as in a replicated log: it is *proposed* (checked,
//! numbered, turned into a record), the record is made durable by the shell, and then it is
//! *committed*. A published message becomes visible to consumers when it is committed, not before: a
//! consumer must never act on a message that a power loss then makes never to have existed.
//!
//! Settlements take effect at once and their records follow lazily: a lost one is a redelivery,
//! which consumers recognise.

mod changes;
mod commit;
mod dead_letters;
mod message;
mod queue;
mod queues;
mod record;
mod replay;
mod usage;

#[cfg(test)]
mod queue_tests;
#[cfg(test)]
mod queues_tests;

pub use changes::{Changes, Placed, Rules};
pub use message::{ConsumerId, ConsumerOptions, Delivery, Settlement};
pub use queues::{Queues, Taken};
pub use record::Record;
pub use replay::Replay;
