//! All queues of a broker, behind one face: what clients ask for.
//!
//! What is durable waits for its commit: see `commit`.

use super::changes::{Changes, Placed, Rules};
use super::letters::{Letter, Letters};
use super::message::{ConsumerId, Due, Message, weight};
use super::queue::{Outcome, Queue};
use super::record::Record;
use super::usage::Usage;
use ports::broker::{
    DeadLetter, Delivery, Publication, PublishError, Queue as Name, Settlement, SubscribeError,
    SubscribeOptions,
};
use protocol::design::Poison;
use protocol::{GatewayId, Incarnation, limits};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long a message waits that should die while the dead letters are full: it is never dropped.
const FULL_LETTERS_RETRY: Duration = Duration::from_secs(1);

/// All queues.
#[derive(Debug)]
pub struct Queues {
    pub(super) rules: Rules,
    pub(super) by_name: BTreeMap<Name, Queue>,
    pub(super) consumers: BTreeMap<ConsumerId, Name>,
    pub(super) letters: Letters,
    pub(super) usage: Usage,
    pub(super) next_id: u64,
    pub(super) next_consumer: u64,
    /// Proposed and not committed: messages by queue, and bytes.
    pub(super) proposed: BTreeMap<Name, usize>,
    pub(super) proposed_bytes: u64,
    pub(super) marks: BTreeSet<Name>,
    pub(super) compacting: bool,
    pub(super) changes: Changes,
    outcomes: Vec<Outcome>,
}

impl Queues {
    /// A broker without messages.
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            by_name: BTreeMap::new(),
            consumers: BTreeMap::new(),
            letters: Letters::default(),
            usage: Usage::new(rules.limits.segment_bytes),
            next_id: 1,
            next_consumer: 1,
            proposed: BTreeMap::new(),
            proposed_bytes: 0,
            marks: BTreeSet::new(),
            compacting: false,
            changes: Changes::default(),
            outcomes: Vec::new(),
        }
    }

    /// What the shell must do, since the last time it asked.
    pub fn changes(&mut self) -> &mut Changes {
        &mut self.changes
    }

    /// Publishes one message.
    pub fn publish(&mut self, publication: Publication, now_ms: u64) -> Placed {
        let Publication { to, message } = publication;
        if message.len() > limits::MAX_PUBLICATION_BYTES {
            return Placed::Refused(PublishError::Full);
        }
        if let Name::Gateway(..) = to.queue {
            return self.publish_in_memory(to.queue, message);
        }
        let proposed = self.proposed.entry(to.queue).or_default();
        let limits = self.rules.limits;
        let most = match to.queue {
            Name::Dead => limits.dead_letters,
            Name::Notify(_) => limits.notify_queue_messages,
            _ => limits.durable_queue_messages,
        };
        let held = match to.queue {
            Name::Dead => self.letters.len(),
            queue => self.by_name.get(&queue).map_or(0, Queue::len),
        };
        let bytes = self.usage.live() + self.proposed_bytes;
        if held + *proposed >= most || bytes >= limits.durable_bytes {
            self.changes.refused += 1;
            return Placed::Refused(PublishError::Full);
        }
        *proposed += 1;
        self.proposed_bytes += weight(&message);
        let id = self.next_id;
        self.next_id += 1;
        let record = match to.queue {
            Name::Dead => Record::Letter(DeadLetter {
                id,
                queue: Name::Dead,
                reason: "published to the dead letters".to_owned(),
                attempts: 0,
                at_ms: now_ms,
                message,
            }),
            queue => {
                let due = to.delay.filter(|delay| !delay.is_zero());
                let due = due.map(|delay| Due::after(now_ms, delay));
                Record::Stored { id, queue, due, message }
            }
        };
        self.changes.records.push(record);
        self.changes.urgent = true;
        self.changes.published += 1;
        Placed::Pending
    }

    pub(super) fn publish_in_memory(&mut self, name: Name, message: bytes::Bytes) -> Placed {
        let Some(queue) = self.by_name.get_mut(&name) else {
            return Placed::Refused(PublishError::Unroutable);
        };
        // Only what waits counts, so that a full queue always has a next delivery to tell the loss.
        if queue.ready() >= self.rules.limits.gateway_queue_messages.max(1)
            || queue.ready_bytes() >= self.rules.limits.gateway_queue_bytes
        {
            queue.drop_newest();
            self.changes.dropped += 1;
            return Placed::Refused(PublishError::Full);
        }
        queue.push(Message::new(0, 0, message));
        self.changes.published += 1;
        wake(&mut self.changes, queue);
        Placed::Done
    }

    /// A consumer asks for a queue.
    pub fn subscribe(
        &mut self,
        name: Name,
        options: SubscribeOptions,
    ) -> Result<ConsumerId, SubscribeError> {
        let requeue = self.rules.requeue;
        if name == Name::Dead {
            // Dead letters are read through `dead_letters`; nobody consumes them.
            return Err(SubscribeError::Unavailable);
        }
        let id = ConsumerId(self.next_consumer);
        let durable = !matches!(name, Name::Gateway(..));
        if let (Name::Gateway(gateway, _), Some(queue)) = (name, self.by_name.get(&name)) {
            if options.epoch < queue.seen() {
                return Err(SubscribeError::Fenced { current: queue.seen() });
            }
            self.remove_gateway(gateway);
        } else if let Name::Gateway(gateway, _) = name {
            self.remove_gateway(gateway);
        }
        let queue = self.by_name.entry(name).or_default();
        let seen = queue.seen();
        match queue.subscribe(id, options, requeue) {
            Err(current) => return Err(SubscribeError::Fenced { current }),
            Ok(None) => {}
            Ok(Some(previous)) => {
                self.consumers.remove(&previous);
                self.changes.lost.push(previous);
            }
        }
        if durable && options.epoch > seen {
            self.changes.records.push(Record::Seen { queue: name, epoch: options.epoch });
        }
        wake(&mut self.changes, queue);
        self.next_consumer += 1;
        self.consumers.insert(id, name);
        Ok(id)
    }

    /// Every life of a gateway loses its queue.
    fn remove_gateway(&mut self, gateway: GatewayId) {
        let lives =
            Name::Gateway(gateway, Incarnation(0))..=Name::Gateway(gateway, Incarnation(u64::MAX));
        let names: Vec<Name> = self.by_name.range(lives).map(|(name, _)| *name).collect();
        for name in names {
            let consumer = self.by_name.remove(&name).and_then(|queue| queue.consumer());
            if let Some(consumer) = consumer {
                self.consumers.remove(&consumer);
                self.changes.lost.push(consumer);
            }
        }
    }

    /// A consumer is gone, or gives its queue up.
    pub fn lose(&mut self, id: ConsumerId) {
        let Some(name) = self.consumers.remove(&id) else { return };
        if let Name::Gateway(..) = name {
            self.by_name.remove(&name);
        } else if let Some(queue) = self.by_name.get_mut(&name) {
            queue.lose(id, self.rules.requeue);
        }
        self.changes.lost.push(id);
    }

    /// Hands out what a consumer may have now; `None` if it lost its queue.
    pub fn take(&mut self, id: ConsumerId, max_bytes: u64) -> Option<Vec<Delivery>> {
        let name = *self.consumers.get(&id)?;
        let queue = self.by_name.get_mut(&name)?;
        let handed = queue.handed_through();
        let deliveries = queue.take(id, max_bytes)?;
        if queue.handed_through() > handed {
            self.marks.insert(name);
        }
        let again = deliveries.iter().filter(|delivery| delivery.redelivered > 0).count();
        self.changes.redelivered += again as u64;
        Some(deliveries)
    }

    /// Whether a consumer could take something now; `None` if it lost its queue.
    pub fn hungry(&self, id: ConsumerId) -> Option<bool> {
        let name = self.consumers.get(&id)?;
        Some(self.by_name.get(name)?.hungry() == Some(id))
    }

    /// A consumer settles.
    pub fn settle(&mut self, id: ConsumerId, settlements: Vec<Settlement>, now_ms: u64) {
        let Some(name) = self.consumers.get(&id).copied() else { return };
        let Some(queue) = self.by_name.get_mut(&name) else { return };
        let mut outcomes = std::mem::take(&mut self.outcomes);
        let limit = self.rules.limits.delivery_limit.max(1);
        for settlement in settlements {
            queue.settle(id, settlement, limit, now_ms, &mut outcomes);
        }
        let mut done = Vec::new();
        for outcome in outcomes.drain(..) {
            match outcome {
                Outcome::Died(message, reason) if self.rules.poison == Poison::DeadLetter => {
                    self.die(name, message, reason, now_ms);
                }
                Outcome::Done(message) | Outcome::Died(message, _) => {
                    if message.id != 0 {
                        self.usage.remove(message.segment, message.weight());
                        done.push(message.id);
                    }
                }
                Outcome::Delayed { id, attempts, due } => {
                    if id != 0 {
                        self.changes.records.push(Record::Delayed { id, attempts, due });
                    }
                    self.changes.timer = true;
                }
            }
        }
        self.outcomes = outcomes;
        if !done.is_empty() {
            self.changes.records.push(Record::Settled { ids: done });
        }
        if let Some(queue) = self.by_name.get(&name) {
            wake(&mut self.changes, queue);
        }
    }

    fn die(&mut self, name: Name, message: Message, mut reason: String, now_ms: u64) {
        reason.truncate(reason.floor_char_boundary(limits::MAX_REASON_BYTES));
        if self.letters.len() >= self.rules.limits.dead_letters {
            let due = Due::after(now_ms, FULL_LETTERS_RETRY);
            let Message { id, attempts, .. } = message;
            if let Some(queue) = self.by_name.get_mut(&name) {
                queue.push_later(due.at_ms(), due, message);
            }
            if id != 0 {
                self.changes.records.push(Record::Delayed { id, attempts, due });
            }
            self.changes.timer = true;
            return;
        }
        let letter = DeadLetter {
            id: self.next_id,
            queue: name,
            reason,
            attempts: message.attempts,
            at_ms: now_ms,
            message: message.bytes,
        };
        self.next_id += 1;
        self.changes.records.push(match message.id {
            // A message in memory: the log does not know it yet.
            0 => Record::Letter(letter.clone()),
            id => Record::Died {
                id,
                letter: letter.id,
                reason: letter.reason.clone(),
                attempts: letter.attempts,
                at_ms: now_ms,
            },
        });
        let letter = Letter { letter, segment: message.segment };
        self.usage.add(letter.segment, letter.reason_weight());
        self.letters.die(letter);
        self.changes.urgent = true;
        self.changes.dead_lettered += 1;
    }

    /// Time has passed.
    pub fn tick(&mut self, now_ms: u64) {
        for queue in self.by_name.values_mut() {
            if queue.next_due().is_some_and(|due| due <= now_ms) {
                queue.tick(now_ms);
                wake(&mut self.changes, queue);
            }
        }
    }

    /// When `tick` has something to do next.
    pub fn next_due(&self) -> Option<u64> {
        self.by_name.values().filter_map(Queue::next_due).min()
    }

    /// Dead letters behind an id, oldest first.
    pub fn dead_letters(&self, after: u64, limit: u32) -> Vec<DeadLetter> {
        self.letters.after(after, limit)
    }

    /// Proposes that a dead letter goes back to the end of its queue; false if there is none of this
    /// id, or its queue is that of a gateway's life that is over.
    pub fn requeue_dead_letter(&mut self, letter: u64) -> bool {
        let Some(found) = self.letters.get(letter) else { return false };
        let name = found.letter.queue;
        if matches!(name, Name::Gateway(..)) && !self.by_name.contains_key(&name) {
            return false;
        }
        let id = self.next_id;
        self.next_id += 1;
        self.letters.leave(letter, id);
        self.changes.records.push(Record::Requeued { letter, id });
        self.changes.urgent = true;
        true
    }

    /// Messages by queue, for queues that have any.
    pub fn depths(&self) -> Vec<(Name, u64)> {
        let queues = self.by_name.iter().map(|(name, queue)| (*name, queue.len() as u64));
        let letters = (Name::Dead, self.letters.len() as u64);
        queues.chain([letters]).filter(|(_, depth)| *depth > 0).collect()
    }

    /// The queues themselves, for gauges.
    pub fn each(&self) -> impl Iterator<Item = (&Name, &Queue)> {
        self.by_name.iter()
    }

    /// How many dead letters there are.
    pub fn dead(&self) -> usize {
        self.letters.len()
    }

    /// The length of the log.
    pub fn log_bytes(&self) -> u64 {
        self.usage.total()
    }

    /// What of it is needed.
    #[cfg(test)]
    pub fn live_bytes(&self) -> u64 {
        self.usage.live()
    }

    /// What was told once.
    pub fn rules(&self) -> Rules {
        self.rules
    }
}

/// Notes that the queue's consumer can take something.
pub(super) fn wake(changes: &mut Changes, queue: &Queue) {
    if let Some(consumer) = queue.hungry()
        && changes.wake.last() != Some(&consumer)
    {
        changes.wake.push(consumer);
    }
}
