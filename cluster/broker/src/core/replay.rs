//! The queues as the log tells them after a restart.
//!
//! Messages come back in the order of their numbers, which is the order of their publication.

use super::changes::Rules;
use super::dead_letters::{DeadLetters, StoredDeadLetter};
use super::message::Message;
use super::queues::Queues;
use super::record::Record;
use super::usage::Kind;
use ports::broker::{DeadLetter, Origin, Queue as Name};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug)]
struct Held {
    queue: Name,
    message: Message,
}

/// Collects records.
#[derive(Debug, Default)]
pub struct Replay {
    messages: BTreeMap<u64, Held>,
    dead_letters: DeadLetters,
    /// Dead letters of keys that are listed, of which nothing says so yet.
    second: BTreeSet<u64>,
    handed: BTreeMap<Name, u64>,
    lengths: BTreeMap<u32, u64>,
    next_id: u64,
}

impl Replay {
    /// The next record, of this segment.
    pub fn apply(&mut self, record: Record, segment: u32) {
        match record {
            Record::Stored { id, queue, message } => {
                self.saw(id);
                let message = Message::new(id, segment, message);
                self.messages.insert(id, Held { queue, message });
            }
            Record::Kept { id, queue, handed, message } => {
                self.saw(id);
                let message = Message { handed, ..Message::new(id, segment, message) };
                self.messages.insert(id, Held { queue, message });
            }
            Record::Settled { ids } => {
                for id in ids {
                    self.second.remove(&id);
                    if self.messages.remove(&id).is_none() {
                        self.dead_letters.left(id);
                    }
                }
            }
            Record::Died { id, dead, reason, attempts, at_ms } => {
                self.saw(dead);
                let Some(Held { queue, message, .. }) = self.messages.remove(&id) else { return };
                let Some(origin) = Origin::of(queue) else { return };
                let Message { segment, bytes: message, .. } = message;
                let dead = DeadLetter { id: dead, origin, reason, attempts, at_ms, message };
                self.dead_letters.list(StoredDeadLetter { dead, key: None, segment });
            }
            Record::DeadLetter { key, dead } => {
                self.saw(dead.id);
                let id = dead.id;
                if self.dead_letters.knows(id) {
                    self.dead_letters.left(id);
                }
                if !self.dead_letters.list(StoredDeadLetter { dead, key, segment }) {
                    self.second.insert(id);
                }
            }
            Record::Requeued { dead, id } => {
                self.saw(id);
                let Some(left) = self.dead_letters.left(dead) else { return };
                let message = Message::new(id, left.segment, left.dead.message);
                let queue = left.dead.origin.into();
                self.messages.insert(id, Held { queue, message });
            }
            Record::HandedOut { queue, through } => {
                let mark = self.handed.entry(queue).or_default();
                *mark = through.max(*mark);
            }
            Record::Checkpoint { next_id, .. } => self.next_id = self.next_id.max(next_id),
        }
    }

    fn saw(&mut self, id: u64) {
        self.next_id = self.next_id.max(id + 1);
    }

    /// A segment has been read to this length.
    pub fn set_length(&mut self, segment: u32, bytes: u64) {
        self.lengths.insert(segment, bytes);
    }

    /// How many messages and dead letters there are.
    pub fn len(&self) -> (usize, usize) {
        (self.messages.len(), self.dead_letters.len())
    }

    /// The queues.
    pub fn finish(self, rules: Rules) -> Queues {
        let mut queues = Queues::new(rules);
        queues.next_id = self.next_id.max(1);
        for (segment, bytes) in self.lengths {
            queues.usage.set_length(segment, bytes);
        }
        for Held { queue: name, mut message } in self.messages.into_values() {
            queues.usage.add(name.into(), message.segment, message.weight());
            let queue = queues.by_name.entry(name).or_default();
            if self.handed.get(&name).is_some_and(|through| message.id <= *through) {
                message.handed = message.handed.max(1);
            }
            queue.push(message);
        }
        for (stored, _) in self.dead_letters.all() {
            queues.usage.add(Kind::DeadLetters, stored.segment, stored.weight());
        }
        queues.dead_letters = self.dead_letters;
        if !self.second.is_empty() {
            let ids = self.second.into_iter().collect();
            queues.changes.records.push(Record::Settled { ids });
        }
        queues
    }
}
