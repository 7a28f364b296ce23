//! One queue: a deterministic state machine. Each method is one command of its log.
//!
//! The order is FIFO by position. A message keeps its position while it is handed out and goes back
//! to it when its consumer is lost.
//!
//! There is no delivery limit: a consumer that crashes or drains ten times with a thousand messages
//! prefetched must not turn a thousand innocent messages into dead letters. A message that kills its
//! consumers shows by `redelivered`, which counts every time that it was handed out, and the consumer
//! decides.

use super::message::{ConsumerId, ConsumerOptions, Delivery, Message, Settlement};
use ports::broker::JobSettlement;
use protocol::Epoch;
use protocol::design::Requeue;
use std::collections::{BTreeMap, VecDeque};

/// What a settlement did to one message.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is gone.
    Done(Message),
    /// It left the queue for the dead letters.
    Died(Message, String),
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
    pub fn settle(&mut self, id: ConsumerId, settlement: Settlement, outcomes: &mut Vec<Outcome>) {
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
                let died = unsettled.remove(&tag);
                outcomes.extend(died.map(|message| Outcome::Died(message, reason)));
            }
        }
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

    /// All messages: ready and unsettled.
    pub fn len(&self) -> usize {
        self.ready() + self.unsettled()
    }

    /// Every message.
    pub fn messages(&self) -> impl Iterator<Item = &Message> {
        let unsettled = self.consumer.iter().flat_map(|consumer| consumer.unsettled.values());
        self.returned.values().chain(&self.fresh).chain(unsettled)
    }

    /// Every message, to change where it is stored.
    pub fn messages_mut(&mut self) -> impl Iterator<Item = &mut Message> {
        let unsettled =
            self.consumer.iter_mut().flat_map(|consumer| consumer.unsettled.values_mut());
        self.returned.values_mut().chain(&mut self.fresh).chain(unsettled)
    }
}
