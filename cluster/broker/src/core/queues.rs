//! All queues of a broker, behind one face: what clients ask for.
//!
//! What is durable waits for its commit: see `commit`.

use super::changes::{Changes, Placed, Rules};
use super::dead_letters::{DeadLetters, StoredDeadLetter};
use super::message::{ConsumerId, ConsumerOptions, Delivery, Message, Settlement, weight};
use super::queue::{Outcome, Queue};
use super::record::Record;
use super::usage::{Kind, Usage};
use ports::broker::{DeadLetter, GatewayLife, NewDeadLetter, Origin, PublishError, Queue as Name};
use protocol::design::Poison;
use protocol::{GatewayId, Incarnation, limits};
use std::collections::{BTreeMap, BTreeSet};

/// Of all durable bytes, jobs may have so much, and so may dead letters: half of them is left for the chat.
const SHARE: u64 = 4;

/// Another consumer has the queue, and keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken;

/// All queues.
#[derive(Debug)]
pub struct Queues {
    pub(super) rules: Rules,
    pub(super) by_name: BTreeMap<Name, Queue>,
    pub(super) consumers: BTreeMap<ConsumerId, Name>,
    pub(super) dead_letters: DeadLetters,
    pub(super) usage: Usage,
    pub(super) next_id: u64,
    pub(super) next_consumer: u64,
    /// Proposed and not committed: messages by queue.
    pub(super) proposed: BTreeMap<Name, usize>,
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
            dead_letters: DeadLetters::default(),
            usage: Usage::new(rules.limits.segment_bytes),
            next_id: 1,
            next_consumer: 1,
            proposed: BTreeMap::new(),
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

    /// Publishes one message. What a gateway's queue does not take is gone. In a full queue of jobs the
    /// oldest gives way: it is the one that its user has most likely read meanwhile.
    pub fn publish(&mut self, name: Name, message: bytes::Bytes) -> Placed {
        match name {
            Name::Gateway(_) => {
                self.publish_in_memory(name, message);
                Placed::Done
            }
            // Those are put, with their reasons.
            Name::DeadLetters => Placed::Refused(PublishError::Full),
            Name::Inbound(_) | Name::Jobs(_) => {
                while matches!(name, Name::Jobs(_)) && !self.has_room(name) && self.shed_job(name) {
                }
                let Some(id) = self.propose(name, &message) else {
                    return Placed::Refused(PublishError::Full);
                };
                self.changes.records.push(Record::Stored { id, queue: name, message });
                self.changes.published += 1;
                Placed::Pending
            }
        }
    }

    /// Keeps a dead letter, unless one of its key is kept already. If there are too many, the oldest gives
    /// way.
    pub fn put(&mut self, new: NewDeadLetter, now_ms: u64) -> Placed {
        let NewDeadLetter { origin, key, reason, attempts, message } = new;
        if self.dead_letters.keeps(origin, key) {
            return Placed::Done;
        }
        self.shed_dead_letters();
        let Some(id) = self.propose(Name::DeadLetters, &message) else {
            return Placed::Refused(PublishError::Full);
        };
        let reason = shortened(reason);
        let dead = DeadLetter { id, origin, reason, attempts, at_ms: now_ms, message };
        self.changes.records.push(Record::DeadLetter { key: Some(key), dead });
        Placed::Pending
    }

    /// The number of a message for which there is room.
    fn propose(&mut self, name: Name, message: &bytes::Bytes) -> Option<u64> {
        if message.len() > limits::MAX_PUBLICATION_BYTES || !self.has_room(name) {
            *match name {
                Name::Jobs(_) => &mut self.changes.shed_jobs,
                Name::DeadLetters => &mut self.changes.shed_dead_letters,
                Name::Inbound(_) | Name::Gateway(_) => &mut self.changes.refused,
            } += 1;
            return None;
        }
        *self.proposed.entry(name).or_default() += 1;
        self.usage.propose(name.into(), weight(message));
        self.changes.urgent = true;
        let id = self.next_id;
        self.next_id += 1;
        Some(id)
    }

    /// Whether one more fits among what is there and what is proposed.
    fn has_room(&self, name: Name) -> bool {
        let limits = self.rules.limits;
        let queued = || self.by_name.get(&name).map_or(0, Queue::len);
        let (held, most) = match name {
            Name::Jobs(_) => (queued(), limits.notify_queue_messages),
            Name::DeadLetters => (self.dead_letters.len(), limits.dead_letters),
            Name::Inbound(_) | Name::Gateway(_) => (queued(), limits.durable_queue_messages),
        };
        let has_bytes = match Kind::from(name) {
            Kind::Inbound => self.usage.held_by_all() < limits.durable_bytes,
            kind => self.usage.held(kind) < limits.durable_bytes / SHARE,
        };
        held + self.proposed.get(&name).copied().unwrap_or(0) < most && has_bytes
    }

    /// The oldest job that nobody has in hand gives way; false if there is none.
    fn shed_job(&mut self, name: Name) -> bool {
        let Some(oldest) = self.by_name.get_mut(&name).and_then(Queue::shed) else { return false };
        self.usage.remove(name.into(), oldest.segment, oldest.weight());
        self.changes.records.push(Record::Settled { ids: vec![oldest.id] });
        self.changes.shed_jobs += 1;
        true
    }

    /// The oldest dead letters give way until there is room for another one.
    fn shed_dead_letters(&mut self) {
        while !self.has_room(Name::DeadLetters)
            && let Some(oldest) = self.dead_letters.shed()
        {
            self.usage.remove(Kind::DeadLetters, oldest.segment, oldest.weight());
            self.changes.records.push(Record::Settled { ids: vec![oldest.dead.id] });
            self.changes.shed_dead_letters += 1;
        }
    }

    fn publish_in_memory(&mut self, name: Name, message: bytes::Bytes) {
        let Some(queue) = self.by_name.get_mut(&name) else { return };
        if queue.ready() >= self.rules.limits.gateway_queue_messages.max(1)
            || queue.ready_bytes() >= self.rules.limits.gateway_queue_bytes
            || message.len() > limits::MAX_PUBLICATION_BYTES
        {
            self.changes.dropped += 1;
            return;
        }
        queue.push(Message::new(0, 0, message));
        self.changes.published += 1;
        wake(&mut self.changes, queue);
    }

    /// A consumer asks for a queue. A gateway's newest consumer has its only queue, whatever the
    /// incarnations are: they come from a clock that may have been set back.
    pub fn consume(&mut self, name: Name, options: ConsumerOptions) -> Result<ConsumerId, Taken> {
        match name {
            // Nobody consumes those.
            Name::DeadLetters => return Err(Taken),
            Name::Gateway(life) => self.remove_gateway(life.gateway),
            Name::Inbound(_) | Name::Jobs(_) => {}
        }
        let queue = self.by_name.entry(name).or_default();
        if queue.is_kept_from(options.epoch) {
            return Err(Taken);
        }
        let id = ConsumerId(self.next_consumer);
        self.next_consumer += 1;
        if let Some(previous) = queue.consume(id, options, self.rules.requeue) {
            self.consumers.remove(&previous);
            self.changes.lost.push(previous);
        }
        wake(&mut self.changes, queue);
        self.consumers.insert(id, name);
        Ok(id)
    }

    /// Every life of a gateway loses its queue.
    fn remove_gateway(&mut self, gateway: GatewayId) {
        let life = |incarnation| Name::Gateway(GatewayLife { gateway, incarnation });
        let lives = life(Incarnation(0))..=life(Incarnation(u64::MAX));
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
        for settlement in settlements {
            queue.settle(id, settlement, &mut outcomes);
        }
        let mut done = Vec::new();
        for outcome in outcomes.drain(..) {
            match (outcome, Origin::of(name)) {
                (Outcome::Died(message, reason), Some(origin))
                    if self.rules.poison == Poison::DeadLetter =>
                {
                    self.die(origin, message, reason, now_ms);
                }
                (Outcome::Done(message) | Outcome::Died(message, _), _) => {
                    if message.id != 0 {
                        self.usage.remove(name.into(), message.segment, message.weight());
                        done.push(message.id);
                    }
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

    fn die(&mut self, origin: Origin, message: Message, reason: String, now_ms: u64) {
        let Message { id, handed: attempts, segment, .. } = message;
        self.usage.remove(Name::from(origin).into(), segment, message.weight());
        self.shed_dead_letters();
        if !self.has_room(Name::DeadLetters) {
            self.changes.records.push(Record::Settled { ids: vec![id] });
            self.changes.shed_dead_letters += 1;
            return;
        }
        let dead = self.next_id;
        self.next_id += 1;
        let (at_ms, reason) = (now_ms, shortened(reason));
        self.changes.records.push(Record::Died {
            id,
            dead,
            reason: reason.clone(),
            attempts,
            at_ms,
        });
        let dead = DeadLetter { id: dead, origin, reason, attempts, at_ms, message: message.bytes };
        let stored = StoredDeadLetter { dead, key: None, segment };
        self.usage.add(Kind::DeadLetters, segment, stored.weight());
        self.dead_letters.die(stored);
        self.changes.urgent = true;
        self.changes.dead_lettered += 1;
    }

    /// Dead letters behind an id, oldest first.
    pub fn dead_letters(&self, after: u64, limit: u32) -> Vec<DeadLetter> {
        self.dead_letters.after(after, limit)
    }

    /// Proposes that a dead letter goes back to the end of its queue; false if there is none of this
    /// id.
    pub fn requeue_dead_letter(&mut self, dead: u64) -> bool {
        if !self.dead_letters.stays(dead) {
            return false;
        }
        let id = self.next_id;
        self.next_id += 1;
        self.dead_letters.leave(dead, id);
        self.changes.records.push(Record::Requeued { dead, id });
        self.changes.urgent = true;
        true
    }

    /// Messages by queue, for queues that have any.
    pub fn depths(&self) -> Vec<(Name, u64)> {
        let queues = self.by_name.iter().map(|(name, queue)| (*name, queue.len() as u64));
        let dead = (Name::DeadLetters, self.dead_letters.len() as u64);
        queues.chain([dead]).filter(|(_, depth)| *depth > 0).collect()
    }

    /// The queues themselves, for gauges.
    pub fn each(&self) -> impl Iterator<Item = (&Name, &Queue)> {
        self.by_name.iter()
    }

    /// How many dead letters there are.
    pub fn dead(&self) -> usize {
        self.dead_letters.len()
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

fn shortened(mut reason: String) -> String {
    reason.truncate(reason.floor_char_boundary(limits::MAX_REASON_BYTES));
    reason
}
