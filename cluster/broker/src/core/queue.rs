//! One queue: a deterministic state machine. Each method is one command of its log; time comes in.
//!
//! The order is FIFO by position. A message keeps its position while it is handed out and goes back
//! to it when its consumer is lost. A delayed message takes its position when it is due.
//!
//! The delivery limit counts failed attempts that a consumer has reported (`Retry`), as AMQP 1.0
//! does: its outcome `modified` counts, and the loss of a consumer does not. A consumer that crashes or drains ten times with a thousand messages prefetched must not
//! turn a thousand innocent messages into dead letters. A message that kills its consumers shows by
//! `redelivered`, which counts every time that it was handed out, and the consumer decides.

use super::message::{ConsumerId, ConsumerOptions, Delivery, Due, Message, Settlement};
use ports::broker::JobSettlement;
use protocol::Epoch;
use protocol::design::Requeue;
use std::collections::{BTreeMap, VecDeque};

/// Why messages die whose attempts fail again and again.
pub const DELIVERY_LIMIT_REASON: &str = "delivery limit";

/// What a settlement did to one message.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is gone.
    Done(Message),
    /// It comes again later.
    Delayed {
        /// Its number.
        id: u64,
        /// Attempts that have failed.
        attempts: u32,
        /// When it comes again.
        due: Due,
    },
    /// It left the queue for the dead letters.
    Died(Message, String),
}

/// A delayed message.
#[derive(Debug)]
struct Delayed {
    due: Due,
    message: Message,
}

/// The active consumer.
#[derive(Debug)]
struct Consumer {
    id: ConsumerId,
    epoch: Epoch,
    prefetch: usize,
    next_tag: u64,
    unsettled: BTreeMap<u64, Message>,
}

/// A queue.
#[derive(Debug, Default)]
pub struct Queue {
    /// Came back; every position is below those of `fresh`.
    returned: BTreeMap<u64, Message>,
    /// Not handed out since it took its position; positions rise.
    fresh: VecDeque<Message>,
    /// By when it is due, then by number.
    delayed: BTreeMap<(u64, u64, u64), Delayed>,
    consumer: Option<Consumer>,
    next_position: u64,
    /// Numbers up to this one were handed out.
    handed_through: u64,
    ready_bytes: u64,
}

impl Queue {
    /// Puts a message at the end.
    pub fn push(&mut self, mut message: Message) {
        message.position = self.next_position;
        self.next_position += 1;
        self.ready_bytes += message.weight();
        let (last, next) = (self.fresh.back().map(|last| last.position), message.position);
        assert!(last < Some(next), "position {next} is behind {last:?}");
        self.fresh.push_back(message);
    }

    /// Puts a message at the end when it is due; `at_ms` is by the clock of this life.
    pub fn push_later(&mut self, at_ms: u64, due: Due, mut message: Message) {
        message.position = self.next_position;
        self.next_position += 1;
        self.delayed.insert((at_ms, message.id, message.position), Delayed { due, message });
    }

    /// Takes the oldest message out that could be handed out.
    pub fn shed(&mut self) -> Option<Message> {
        let oldest = self.returned.pop_first().map(|(_, message)| message);
        let oldest = oldest.or_else(|| self.fresh.pop_front())?;
        self.ready_bytes -= oldest.weight();
        Some(oldest)
    }

    /// Whether the active consumer keeps the queue against one of this epoch.
    pub fn is_kept_from(&self, epoch: Epoch) -> bool {
        self.consumer.as_ref().is_some_and(|consumer| consumer.epoch > epoch)
    }

    /// A consumer takes the queue; the consumer that it takes it from.
    pub fn consume(
        &mut self,
        id: ConsumerId,
        options: ConsumerOptions,
        requeue: Requeue,
    ) -> Option<ConsumerId> {
        let previous = self.consumer.as_ref().map(|consumer| consumer.id);
        if let Some(previous) = previous {
            self.lose(previous, requeue);
        }
        self.consumer = Some(Consumer {
            id,
            epoch: options.epoch,
            prefetch: (options.prefetch as usize).max(1),
            next_tag: 1,
            unsettled: BTreeMap::new(),
        });
        previous
    }

    /// A consumer is gone: what it held goes back. False if it was not the active one.
    pub fn lose(&mut self, id: ConsumerId, requeue: Requeue) -> bool {
        let Some(consumer) = self.consumer.take_if(|consumer| consumer.id == id) else {
            return false;
        };
        for message in consumer.unsettled.into_values() {
            match requeue {
                Requeue::Front => self.put_back(message),
                Requeue::Back => self.push(message),
            }
        }
        true
    }

    /// Hands out as many messages as the consumer's window and `max_bytes` allow, at least one if
    /// there is one; `None` if this is not the active consumer.
    pub fn take(&mut self, id: ConsumerId, max_bytes: u64) -> Option<Vec<Delivery>> {
        let consumer = self.consumer.as_mut().filter(|consumer| consumer.id == id)?;
        let room = consumer.prefetch - consumer.unsettled.len();
        let mut deliveries = Vec::with_capacity(room.min(self.returned.len() + self.fresh.len()));
        let mut bytes = 0;
        while deliveries.len() < room && (deliveries.is_empty() || bytes < max_bytes) {
            let next = self.returned.pop_first().map(|(_, message)| message);
            let Some(mut message) = next.or_else(|| self.fresh.pop_front()) else { break };
            bytes += message.weight();
            let tag = consumer.next_tag;
            consumer.next_tag += 1;
            deliveries.push(Delivery {
                tag,
                redelivered: message.handed,
                message: message.bytes.clone(),
            });
            message.handed = message.handed.saturating_add(1);
            self.handed_through = self.handed_through.max(message.id);
            consumer.unsettled.insert(tag, message);
        }
        self.ready_bytes -= bytes;
        let (held, window) = (consumer.unsettled.len(), consumer.prefetch);
        assert!(held <= window, "{held} messages in a window of {window}");
        debug_assert_eq!(self.ready_bytes, self.counted_bytes());
        Some(deliveries)
    }

    /// The active consumer settles. Tags that are unknown or settled already are ignored.
    pub fn settle(
        &mut self,
        id: ConsumerId,
        settlement: Settlement,
        delivery_limit: u32,
        now_ms: u64,
        outcomes: &mut Vec<Outcome>,
    ) {
        let Some(consumer) = self.consumer.as_mut().filter(|consumer| consumer.id == id) else {
            return;
        };
        let unsettled = &mut consumer.unsettled;
        match settlement {
            Settlement::Through(tag) => {
                while let Some(first) = unsettled.first_entry().filter(|first| *first.key() <= tag)
                {
                    outcomes.push(Outcome::Done(first.remove()));
                }
            }
            Settlement::One(JobSettlement::Done { tag }) => {
                outcomes.extend(unsettled.remove(&tag).map(Outcome::Done));
            }
            Settlement::One(JobSettlement::DeadLetter { tag, reason }) => {
                outcomes.extend(unsettled.remove(&tag).map(|mut message| {
                    message.attempts = message.attempts.saturating_add(1);
                    Outcome::Died(message, reason)
                }));
            }
            Settlement::One(JobSettlement::Retry { tag, after }) => {
                if let Some(message) = unsettled.remove(&tag) {
                    let due = Due::after(now_ms, after);
                    outcomes.push(self.retry(message, due, delivery_limit));
                }
            }
        }
    }

    fn retry(&mut self, mut message: Message, due: Due, limit: u32) -> Outcome {
        message.attempts = message.attempts.saturating_add(1);
        if message.attempts >= limit {
            return Outcome::Died(message, DELIVERY_LIMIT_REASON.to_owned());
        }
        let (id, attempts) = (message.id, message.attempts);
        self.push_later(due.at_ms(), due, message);
        Outcome::Delayed { id, attempts, due }
    }

    fn put_back(&mut self, message: Message) {
        self.ready_bytes += message.weight();
        let (back, fresh) = (message.position, self.fresh.front().map(|next| next.position));
        assert!(fresh.is_none_or(|fresh| back < fresh), "{back} comes back, behind {fresh:?}");
        let other = self.returned.insert(back, message).map(|other| other.id);
        assert_eq!(other, None, "two messages at position {back}");
    }

    /// What `ready_bytes` should be: exactly while that is soon done, else what it is.
    fn counted_bytes(&self) -> u64 {
        if self.ready() > 256 {
            return self.ready_bytes;
        }
        self.returned.values().chain(&self.fresh).map(Message::weight).sum()
    }

    /// Time has passed: what is due goes to the end.
    pub fn tick(&mut self, now_ms: u64) {
        while let Some(first) = self.delayed.first_entry().filter(|first| first.key().0 <= now_ms) {
            let message = first.remove().message;
            self.push(message);
        }
    }

    /// When `tick` has something to do next.
    pub fn next_due(&self) -> Option<u64> {
        self.delayed.first_key_value().map(|((at_ms, ..), _)| *at_ms)
    }

    /// The consumer that could take something now.
    pub fn hungry(&self) -> Option<ConsumerId> {
        let consumer = self.consumer.as_ref()?;
        let room = consumer.unsettled.len() < consumer.prefetch;
        (room && self.ready() > 0).then_some(consumer.id)
    }

    /// The active consumer.
    pub fn consumer(&self) -> Option<ConsumerId> {
        self.consumer.as_ref().map(|consumer| consumer.id)
    }

    /// The highest number handed out.
    pub fn handed_through(&self) -> u64 {
        self.handed_through
    }

    /// Messages that could be handed out.
    pub fn ready(&self) -> usize {
        self.returned.len() + self.fresh.len()
    }

    /// What they weigh.
    pub fn ready_bytes(&self) -> u64 {
        self.ready_bytes
    }

    /// Messages in a consumer's hands.
    pub fn unsettled(&self) -> usize {
        self.consumer.as_ref().map_or(0, |consumer| consumer.unsettled.len())
    }

    /// The window of the active consumer.
    pub fn prefetch(&self) -> usize {
        self.consumer.as_ref().map_or(0, |consumer| consumer.prefetch)
    }

    /// All messages: ready, delayed and unsettled.
    pub fn len(&self) -> usize {
        self.ready() + self.delayed.len() + self.unsettled()
    }

    /// Every message, and until when it is delayed.
    pub fn messages(&self) -> impl Iterator<Item = (&Message, Option<Due>)> {
        let unsettled = self.consumer.iter().flat_map(|consumer| consumer.unsettled.values());
        let now = self.returned.values().chain(&self.fresh).chain(unsettled);
        let later = self.delayed.values().map(|delayed| (&delayed.message, Some(delayed.due)));
        now.map(|message| (message, None)).chain(later)
    }

    /// Every message, to change where it is stored.
    pub fn messages_mut(&mut self) -> impl Iterator<Item = &mut Message> {
        let unsettled =
            self.consumer.iter_mut().flat_map(|consumer| consumer.unsettled.values_mut());
        let later = self.delayed.values_mut().map(|delayed| &mut delayed.message);
        self.returned.values_mut().chain(&mut self.fresh).chain(unsettled).chain(later)
    }
}
