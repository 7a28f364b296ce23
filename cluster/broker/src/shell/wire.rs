//! What travels on a link between a node and the broker.
//!
//! One link carries everything of a node. Deliveries are limited by prefetch per subscription and by
//! frames under way per link (`Received` returns one), so neither end's queues can grow without
//! bound and confirms never wait behind a long row of deliveries.

use ports::broker::{
    Confirms, DeadLetter, Delivery, Publication, Queue, Settlement, SubscribeError,
    SubscribeOptions,
};
use serde::{Deserialize, Serialize};

/// The version of these messages.
pub const VERSION: u16 = 1;

/// From a node.
#[derive(Debug, Serialize, Deserialize)]
pub enum ToBroker {
    /// Answered by `Confirms`.
    Publish { call: u64, batch: Vec<Publication> },
    /// Answered by `Subscribed`; the node chooses the number of the subscription, once per link.
    Subscribe { call: u64, subscription: u64, queue: Queue, options: SubscribeOptions },
    /// The subscription is given up.
    Unsubscribe { subscription: u64 },
    /// Settlements of a subscription's deliveries.
    Settle { subscription: u64, settlements: Vec<Settlement> },
    /// A `Deliveries` frame has arrived: another one may be sent.
    Received,
    /// Answered by `Letters`, maybe by fewer than there are.
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
    /// Deliveries of a subscription, in order.
    Deliveries { subscription: u64, deliveries: Vec<Delivery> },
    /// A subscription was lost to another consumer.
    Lost { subscription: u64 },
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
    /// Whether the queue was taken.
    Subscribed(Result<(), SubscribeError>),
    /// Some dead letters; none: there are no more.
    Letters(Vec<DeadLetter>),
    /// Whether there was such a letter; `None`: the broker could not write.
    Requeued(Option<bool>),
    /// Messages by queue.
    Depths(Vec<(Queue, u64)>),
}
