//! What travels on a link between a node and the broker.
//!
//! One link carries everything of a node. Deliveries are limited by prefetch per consumer and by
//! frames under way per link (`Received` returns one), so neither end's queues can grow without
//! bound and confirms never wait behind a long row of deliveries.

use crate::core::{ConsumerOptions, Delivery, Settlement};
use bytes::Bytes;
use ports::broker::{Confirms, ConsumeError, DeadLetter, FanoutMessage, NewDeadLetter, Queue};
use serde::{Deserialize, Serialize};

/// The version of these messages.
pub const VERSION: u16 = 2;

/// From a node.
#[derive(Debug, Serialize, Deserialize)]
pub enum ToBroker {
    /// For durable queues; answered by `Confirms`.
    Publish { call: u64, batch: Vec<(Queue, Bytes)> },
    /// For gateways; answered by `Taken`.
    FanOut { call: u64, batch: Vec<FanoutMessage> },
    /// Answered by `Consuming`; the node chooses the number of the consumer, once per link.
    Consume { call: u64, consumer: u64, queue: Queue, options: ConsumerOptions },
    /// The consumer gives its queue up.
    Leave { consumer: u64 },
    /// Settlements of a consumer's deliveries.
    Settle { consumer: u64, settlements: Vec<Settlement> },
    /// A `Deliveries` frame has arrived: another one may be sent.
    Received,
    /// Answered by one of `Confirms`.
    PutDeadLetter { call: u64, dead: NewDeadLetter },
    /// Answered by `DeadLetters`, maybe by fewer than there are.
    DeadLetters { call: u64, after: u64, limit: u32 },
    /// Answered by `Requeued`.
    RequeueDeadLetter { call: u64, id: u64 },
    /// Answered by `Depths`.
    Depths { call: u64 },
}

impl link::Wire for ToBroker {
    const LINK: &'static str = "broker";
    const VERSION: u16 = VERSION;
}

/// From the broker.
#[derive(Debug, Serialize, Deserialize)]
pub enum FromBroker {
    /// The answer to a call.
    Answer { call: u64, answer: Answer },
    /// Deliveries of a consumer, in order.
    Deliveries { consumer: u64, deliveries: Vec<Delivery> },
    /// A consumer lost its queue to another one.
    Lost { consumer: u64 },
}

impl link::Wire for FromBroker {
    const LINK: &'static str = "broker";
    const VERSION: u16 = VERSION;
}

/// The answer to a call.
#[derive(Debug, Serialize, Deserialize)]
pub enum Answer {
    /// The results of a batch, in its order.
    Confirms(Confirms),
    /// The broker has the batch.
    Taken,
    /// Whether the consumer has the queue.
    Consuming(Result<(), ConsumeError>),
    /// Some dead letters; none: there are no more.
    DeadLetters(Vec<DeadLetter>),
    /// Whether there was such a dead letter; `None`: the broker could not write.
    Requeued(Option<bool>),
    /// Messages by queue.
    Depths(Vec<(Queue, u64)>),
}
