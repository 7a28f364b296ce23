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
pub const VERSION: u16 = 4;

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

#[cfg(test)]
mod tests {
    use super::*;
    use fakes::frozen;
    use ports::broker::{GatewayLife, JobSettlement, Origin, PublishError};
    use protocol::{Epoch, GatewayId, Incarnation, Partition};

    fn queues() -> [Queue; 4] {
        let life = GatewayLife { gateway: GatewayId(1), incarnation: Incarnation(2) };
        [Queue::Inbound(Partition(3)), Queue::Gateway(life), Queue::Jobs(4), Queue::DeadLetters]
    }

    fn record() -> Bytes {
        Bytes::from_static(b"record")
    }

    #[test]
    fn messages_of_version_4_to_the_broker_are_what_they_were() {
        let [inbound, Queue::Gateway(to), jobs, _] = queues() else { unreachable!() };
        let job_settlements = [
            JobSettlement::Done { tag: 8 },
            JobSettlement::DeadLetter { tag: 10, reason: "poison".into() },
        ];
        frozen::every_variant(&queues());
        frozen::every_variant(&job_settlements);
        let one = job_settlements.map(Settlement::One);
        let settlements: Vec<Settlement> =
            [Settlement::Through(5)].into_iter().chain(one).collect();
        frozen::every_variant(&settlements);
        let options = ConsumerOptions { prefetch: 11, epoch: Epoch(12) };
        let dead = |origin, key| {
            let reason = "poison".into();
            let dead = NewDeadLetter { origin, key, reason, attempts: 13, message: record() };
            ToBroker::PutDeadLetter { call: 14, dead }
        };
        let batch = vec![(inbound, record()), (jobs, Bytes::new())];
        let samples = [
            ToBroker::Publish { call: 15, batch },
            ToBroker::FanOut { call: 16, batch: vec![FanoutMessage { to, message: record() }] },
            ToBroker::Consume { call: 17, consumer: 18, queue: inbound, options },
            ToBroker::Leave { consumer: 18 },
            ToBroker::Settle { consumer: 18, settlements },
            ToBroker::Received,
            dead(Origin::Inbound(Partition(3)), 1 << 100),
            dead(Origin::Jobs(4), 0),
            ToBroker::DeadLetters { call: 19, after: 20, limit: 21 },
            ToBroker::RequeueDeadLetter { call: 22, id: 23 },
            ToBroker::Depths { call: 24 },
        ];
        frozen::check(include_str!("../fixtures/to-broker-4.txt"), VERSION, &samples);
    }

    #[test]
    fn messages_of_version_4_from_the_broker_are_what_they_were() {
        let errors = [PublishError::Full, PublishError::Unknown];
        frozen::every_variant(&errors);
        let refusals = [ConsumeError::Taken, ConsumeError::Unavailable];
        frozen::every_variant(&refusals);
        let dead = DeadLetter {
            id: 1,
            origin: Origin::Inbound(Partition(3)),
            reason: "poison".into(),
            attempts: 2,
            at_ms: 3,
            message: record(),
        };
        let consuming = [Ok(())].into_iter().chain(refusals.map(Err)).map(Answer::Consuming);
        let mut answers = vec![
            Answer::Confirms([Ok(())].into_iter().chain(errors.map(Err)).collect()),
            Answer::Taken,
            Answer::DeadLetters(vec![dead]),
            Answer::Requeued(Some(true)),
            Answer::Requeued(None),
            Answer::Depths(queues().into_iter().zip(4..).collect()),
        ];
        answers.extend(consuming);
        frozen::every_variant(&answers);
        let deliveries = vec![Delivery { tag: 5, redelivered: 6, message: record() }];
        let mut samples = vec![
            FromBroker::Deliveries { consumer: 7, deliveries },
            FromBroker::Lost { consumer: 7 },
        ];
        samples.extend(answers.into_iter().map(|answer| FromBroker::Answer { call: 8, answer }));
        frozen::check(include_str!("../fixtures/from-broker-4.txt"), VERSION, &samples);
    }
}
