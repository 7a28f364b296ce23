//! The queues as the log tells them after a restart.
//!
//! Messages come back in the order of their numbers, which is the order of their publication; a
//! delayed one goes to the end when it is due, as it would have done.

use super::changes::Rules;
use super::letters::{Letter, Letters};
use super::message::{Due, Message};
use super::queues::Queues;
use super::record::Record;
use ports::broker::{DeadLetter, Queue as Name};
use protocol::Epoch;
use std::collections::BTreeMap;

#[derive(Debug)]
struct Held {
    queue: Name,
    due: Option<Due>,
    message: Message,
}

/// Collects records.
#[derive(Debug, Default)]
pub struct Replay {
    messages: BTreeMap<u64, Held>,
    letters: BTreeMap<u64, Letter>,
    handed: BTreeMap<Name, u64>,
    epochs: BTreeMap<Name, Epoch>,
    lengths: BTreeMap<u32, u64>,
    next_id: u64,
}

impl Replay {
    /// The next record, of this segment.
    pub fn apply(&mut self, record: Record, segment: u32) {
        match record {
            Record::Stored { id, queue, due, message } => {
                self.saw(id);
                let message = Message::new(id, segment, message);
                self.messages.insert(id, Held { queue, due, message });
            }
            Record::Kept { id, queue, due, handed, attempts, message } => {
                self.saw(id);
                let message = Message { handed, attempts, ..Message::new(id, segment, message) };
                self.messages.insert(id, Held { queue, due, message });
            }
            Record::Settled { ids } => {
                for id in ids {
                    self.messages.remove(&id);
                }
            }
            Record::Delayed { id, attempts, due } => {
                if let Some(held) = self.messages.get_mut(&id) {
                    held.message.attempts = attempts;
                    held.message.handed = held.message.handed.max(attempts);
                    held.due = Some(due);
                }
            }
            Record::Died { id, letter, reason, attempts, at_ms } => {
                self.saw(letter);
                let Some(Held { queue, message, .. }) = self.messages.remove(&id) else { return };
                let Message { segment, bytes: message, .. } = message;
                let dead = DeadLetter { id: letter, queue, reason, attempts, at_ms, message };
                self.letters.insert(letter, Letter { letter: dead, segment });
            }
            Record::Letter(letter) => {
                self.saw(letter.id);
                self.letters.insert(letter.id, Letter { letter, segment });
            }
            Record::Requeued { letter, id } => self.requeue(letter, id),
            Record::HandedOut { queue, through } => {
                let mark = self.handed.entry(queue).or_default();
                *mark = through.max(*mark);
            }
            Record::Seen { queue, epoch } => {
                let seen = self.epochs.entry(queue).or_default();
                *seen = epoch.max(*seen);
            }
            Record::Checkpoint { next_id, .. } => self.next_id = self.next_id.max(next_id),
        }
    }

    fn requeue(&mut self, letter: u64, id: u64) {
        self.saw(id);
        let Some(Letter { letter, segment }) = self.letters.remove(&letter) else { return };
        match letter.queue {
            // Its gateway's queue did not survive, and its gateway repairs from the store.
            Name::Gateway(..) => {}
            Name::Dead => {
                self.letters.insert(id, Letter { letter: DeadLetter { id, ..letter }, segment });
            }
            queue => {
                let message = Message::new(id, segment, letter.message);
                self.messages.insert(id, Held { queue, due: None, message });
            }
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
        (self.messages.len(), self.letters.len())
    }

    /// The queues.
    pub fn finish(self, rules: Rules, now_ms: u64) -> Queues {
        let mut queues = Queues::new(rules);
        queues.next_id = self.next_id.max(1);
        for (segment, bytes) in self.lengths {
            queues.usage.set_length(segment, bytes);
        }
        for (name, epoch) in self.epochs {
            queues.by_name.entry(name).or_default().restore_seen(epoch);
        }
        for Held { queue: name, due, mut message } in self.messages.into_values() {
            queues.usage.add(message.segment, message.weight());
            let queue = queues.by_name.entry(name).or_default();
            if let Some(due) = due {
                queue.push_later(due.at_ms_seen_from(now_ms), due, message);
                continue;
            }
            if self.handed.get(&name).is_some_and(|through| message.id <= *through) {
                message.handed = message.handed.max(1);
            }
            queue.push(message);
        }
        let mut letters = Letters::default();
        for letter in self.letters.into_values() {
            queues.usage.add(letter.segment, letter.weight());
            letters.list(letter);
        }
        queues.letters = letters;
        queues.tick(now_ms);
        queues
    }
}
