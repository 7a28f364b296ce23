//! What happens to the queues when records are durable, or could not be made durable; and which
//! records keep old messages when their segment is given up.

use super::letters::Letter;
use super::message::{Message, weight};
use super::queues::{Queues, wake};
use super::record::Record;
use ports::broker::{DeadLetter, Queue as Name};

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
            if matches!(name, Name::Gateway(..)) {
                continue;
            }
            records.push(Record::Seen { queue: *name, epoch: queue.seen() });
            for (message, due) in queue.messages().filter(|(message, _)| message.segment <= through)
            {
                records.push(Record::Kept {
                    id: message.id,
                    queue: *name,
                    due,
                    handed: message.handed,
                    attempts: message.attempts,
                    message: message.bytes.clone(),
                });
            }
        }
        for (Letter { letter, segment }, leaving) in self.letters.all() {
            if !is_in(*segment, through) {
                continue;
            }
            // The record that makes a leaving letter a message again precedes this one: written as a
            // letter it would come back a second time.
            match (leaving, letter.queue) {
                (None, _) => records.push(Record::Letter(letter.clone())),
                (Some(id), Name::Dead) => {
                    records.push(Record::Letter(DeadLetter { id, ..letter.clone() }));
                }
                (Some(_), Name::Gateway(..)) => {}
                (Some(id), queue) => records.push(Record::Kept {
                    id,
                    queue,
                    due: None,
                    handed: 0,
                    attempts: 0,
                    message: letter.message.clone(),
                }),
            }
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
                Record::Stored { id, queue: name, due, message } => {
                    self.unpropose(name, weight(&message));
                    self.usage.add(segment, weight(&message));
                    let message = Message::new(id, segment, message);
                    let queue = self.by_name.entry(name).or_default();
                    match due {
                        None => queue.push(message),
                        Some(due) => {
                            queue.push_later(due.at_ms(), due, message);
                            self.changes.timer = true;
                        }
                    }
                    wake(&mut self.changes, queue);
                }
                Record::Died { letter, .. } => self.letters.died(letter),
                Record::Letter(letter) => self.commit_letter(Letter { letter, segment }),
                Record::Requeued { letter, id } => self.commit_requeue(letter, id),
                Record::Checkpoint { through, .. } => {
                    self.relocate(through, segment);
                    given_up = Some(through);
                }
                Record::Settled { .. }
                | Record::Delayed { .. }
                | Record::HandedOut { .. }
                | Record::Seen { .. }
                | Record::Kept { .. } => {}
            }
        }
        given_up
    }

    fn commit_letter(&mut self, letter: Letter) {
        let id = letter.letter.id;
        if !self.letters.knows(id) {
            // Published to the dead letters: a kept letter is known already.
            self.unpropose(Name::Dead, weight(&letter.letter.message));
            self.usage.add(letter.segment, letter.weight());
            self.letters.list(letter);
        } else if self.letters.is_dying_in_memory(id) {
            self.usage.add(letter.segment, letter.weight());
            self.letters.set_segment(id, letter.segment);
            self.letters.died(id);
        }
    }

    fn commit_requeue(&mut self, letter: u64, id: u64) {
        let Some(left) = self.letters.left(letter) else { return };
        let (weight, reason_weight) = (left.weight(), left.reason_weight());
        let Letter { letter, segment } = left;
        match letter.queue {
            Name::Gateway(..) => {
                self.usage.remove(segment, weight);
                // Its gateway may be gone by now, with everything that was in its queue.
                let _ = self.publish_in_memory(letter.queue, letter.message);
            }
            Name::Dead => {
                self.letters.list(Letter { letter: DeadLetter { id, ..letter }, segment });
            }
            name => {
                self.usage.remove(segment, reason_weight);
                let queue = self.by_name.entry(name).or_default();
                queue.push(Message::new(id, segment, letter.message));
                wake(&mut self.changes, queue);
            }
        }
    }

    fn relocate(&mut self, through: u32, segment: u32) {
        for queue in self.by_name.values_mut() {
            for message in queue.messages_mut().filter(|message| is_in(message.segment, through)) {
                message.segment = segment;
            }
        }
        for letter in self.letters.all_mut().filter(|letter| is_in(letter.segment, through)) {
            letter.segment = segment;
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
            Record::Letter(letter) if !self.letters.knows(letter.id) => {
                self.unpropose(Name::Dead, weight(&letter.message));
                false
            }
            _ => true,
        });
        records
    }

    fn unpropose(&mut self, name: Name, weight: u64) {
        self.proposed_bytes -= weight;
        if let Some(proposed) = self.proposed.get_mut(&name) {
            *proposed -= 1;
        }
    }
}

fn is_in(segment: u32, through: u32) -> bool {
    segment != 0 && segment <= through
}
