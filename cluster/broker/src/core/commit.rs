//! What happens to the queues when records are durable, or could not be made durable; and which
//! records keep old messages when their segment is given up.

use super::dead_letters::StoredDeadLetter;
use super::message::{Message, weight};
use super::queues::{Queues, wake};
use super::record::Record;
use super::usage::Kind;
use ports::broker::Queue as Name;

impl Queues {
    /// Adds what is written only because something else is: how far queues were handed out, and what
    /// is still needed of segments that are to be given up.
    pub fn complete_group(&mut self) {
        for name in std::mem::take(&mut self.marks) {
            if let Some(queue) = self.by_name.get(&name) {
                let through = queue.handed_through();
                self.changes.records.push(Record::HandedOut { queue: name, through });
            }
        }
        if !self.compacting
            && let Some(through) = self.usage.worth_compacting()
        {
            self.compacting = true;
            self.keep(through);
        }
    }

    /// Whether a group would have anything to write.
    pub fn has_marks(&self) -> bool {
        !self.marks.is_empty()
    }

    /// Whether segments could be given up with the next group.
    pub fn wants_compaction(&self) -> bool {
        !self.compacting && self.usage.worth_compacting().is_some()
    }

    fn keep(&mut self, through: u32) {
        let records = &mut self.changes.records;
        for (name, queue) in &self.by_name {
            if matches!(name, Name::Gateway(_)) {
                continue;
            }
            for message in queue.messages().filter(|message| message.segment <= through) {
                records.push(Record::Kept {
                    id: message.id,
                    queue: *name,
                    handed: message.handed,
                    message: message.bytes.clone(),
                });
            }
        }
        for (StoredDeadLetter { dead, key, segment }, leaving) in self.dead_letters.all() {
            if !is_in(*segment, through) {
                continue;
            }
            // The record that makes a leaving one a message again precedes this one: written as a
            // dead letter it would come back a second time.
            records.push(match leaving {
                None => Record::DeadLetter { key: *key, dead: dead.clone() },
                Some(id) => Record::Kept {
                    id,
                    queue: dead.origin.into(),
                    handed: 0,
                    message: dead.message.clone(),
                },
            });
        }
        records.push(Record::Checkpoint { through, next_id: self.next_id });
    }

    /// A group of records is durable in this segment, which has this length now. The last segment
    /// that is not needed any more, if that has changed.
    pub fn commit(&mut self, records: Vec<Record>, segment: u32, length: u64) -> Option<u32> {
        if self.usage.newest().is_some_and(|newest| newest < segment) {
            self.changes.rotated += 1;
        }
        self.usage.set_length(segment, length);
        let mut given_up = None;
        for record in records {
            match record {
                Record::Stored { id, queue: name, message } => {
                    self.unpropose(name, weight(&message));
                    self.usage.add(name.into(), segment, weight(&message));
                    let queue = self.by_name.entry(name).or_default();
                    queue.push(Message::new(id, segment, message));
                    wake(&mut self.changes, queue);
                }
                Record::Died { dead, .. } => self.dead_letters.died(dead),
                Record::DeadLetter { key, dead } => {
                    self.commit_dead_letter(StoredDeadLetter { dead, key, segment });
                }
                Record::Requeued { dead, id } => self.commit_requeue(dead, id),
                Record::Checkpoint { through, .. } => {
                    self.relocate(through, segment);
                    given_up = Some(through);
                }
                Record::Settled { ids } => {
                    for id in ids {
                        self.dead_letters.gave_way(id);
                    }
                }
                Record::HandedOut { .. } | Record::Kept { .. } => {}
            }
        }
        given_up
    }

    fn commit_dead_letter(&mut self, stored: StoredDeadLetter) {
        // One that was written again is known.
        if !self.dead_letters.knows(stored.dead.id) {
            self.unpropose(Name::DeadLetters, weight(&stored.dead.message));
            let (segment, weight, id) = (stored.segment, stored.weight(), stored.dead.id);
            if self.dead_letters.list(stored) {
                self.usage.add(Kind::DeadLetters, segment, weight);
                self.changes.dead_lettered += 1;
            } else {
                // One of its key was put before it became durable. That one may be written again behind
                // this, and would then be taken for the second.
                self.changes.records.push(Record::Settled { ids: vec![id] });
            }
        }
    }

    fn commit_requeue(&mut self, dead: u64, id: u64) {
        let Some(left) = self.dead_letters.left(dead) else { return };
        let name = Name::from(left.dead.origin);
        self.usage.remove(Kind::DeadLetters, left.segment, left.weight());
        self.usage.add(name.into(), left.segment, weight(&left.dead.message));
        let queue = self.by_name.entry(name).or_default();
        queue.push(Message::new(id, left.segment, left.dead.message));
        wake(&mut self.changes, queue);
    }

    fn relocate(&mut self, through: u32, segment: u32) {
        for queue in self.by_name.values_mut() {
            for message in queue.messages_mut().filter(|message| is_in(message.segment, through)) {
                message.segment = segment;
            }
        }
        for dead in self.dead_letters.all_mut().filter(|dead| is_in(dead.segment, through)) {
            dead.segment = segment;
        }
        self.usage.relocate(through, segment);
        self.changes.compacted += 1;
        self.compacting = false;
    }

    /// A group of records could not be made durable: publications are given up, the rest is to be
    /// written with the next group.
    pub fn abandon(&mut self, mut records: Vec<Record>) -> Vec<Record> {
        records.retain(|record| match record {
            Record::Stored { queue, message, .. } => {
                self.unpropose(*queue, weight(message));
                false
            }
            Record::DeadLetter { dead, .. } if !self.dead_letters.knows(dead.id) => {
                self.unpropose(Name::DeadLetters, weight(&dead.message));
                false
            }
            _ => true,
        });
        records
    }

    fn unpropose(&mut self, name: Name, weight: u64) {
        self.usage.unpropose(name.into(), weight);
        if let Some(proposed) = self.proposed.get_mut(&name) {
            *proposed -= 1;
        }
    }
}

fn is_in(segment: u32, through: u32) -> bool {
    segment != 0 && segment <= through
}
