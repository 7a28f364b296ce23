//! Dead letters as a log of what was done to them, and the table that the log amounts to.
//!
//! A topic finds nothing by an id and removes nothing from its middle. So what is done is appended, and every
//! reader folds the same log into the same table: the id of a dead letter is its place in the log. Times are
//! those of Kafka (`LogAppendTime`), so all readers agree on them too.

use bytes::Bytes;
use ports::broker::{DeadLetter, NewDeadLetter, Origin};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// For so long whoever began to requeue a dead letter may still be at it. Publishing ends well before.
pub const REQUEUEING: Duration = Duration::from_secs(30);
/// The first byte of a record: the form of the rest.
const FORM: u8 = 1;

/// What is done to dead letters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// A message died.
    Put(NewDeadLetter),
    /// Somebody is about to requeue one.
    Requeueing {
        /// Which one.
        id: u64,
        /// Who.
        by: u64,
    },
    /// It is in its queue again.
    Requeued {
        /// Which one.
        id: u64,
    },
}

impl Step {
    /// As a record.
    pub fn encode(&self) -> Vec<u8> {
        let form = vec![FORM];
        postcard::to_extend(self, form)
            .expect("a step can be written: it holds no map and no float")
    }

    /// Of a record; `None`: it is none of ours.
    pub fn decode(record: &[u8]) -> Option<Self> {
        let (form, rest) = record.split_first()?;
        let read = (*form == FORM).then(|| postcard::take_from_bytes(rest))?;
        read.ok().filter(|(_, rest)| rest.is_empty()).map(|(step, _)| step)
    }
}

/// The dead letters that are kept.
#[derive(Clone, Debug)]
pub struct Table {
    most: usize,
    kept: BTreeMap<u64, Kept>,
    ids: BTreeMap<(Origin, u128), u64>,
}

#[derive(Clone, Debug)]
struct Kept {
    letter: DeadLetter,
    key: u128,
    requeueing: Option<Requeueing>,
    /// It died again, after somebody had begun to requeue it and before that was said to be done.
    again: Option<DeadLetter>,
}

#[derive(Clone, Copy, Debug)]
struct Requeueing {
    by: u64,
    since_ms: u64,
}

impl Table {
    /// An empty one that keeps at most so many.
    pub const fn new(most: usize) -> Self {
        Self { most, kept: BTreeMap::new(), ids: BTreeMap::new() }
    }

    /// Another empty one.
    pub const fn emptied(&self) -> Self {
        Self::new(self.most)
    }

    /// The next step of the log, at this offset and time. What gave way to a new one.
    pub fn apply(&mut self, offset: u64, at_ms: u64, step: Step) -> Option<DeadLetter> {
        match step {
            Step::Put(new) => return self.put(offset + 1, at_ms, new),
            Step::Requeueing { id, by } => {
                if let Some(kept) = self.kept.get_mut(&id) {
                    let over = |earlier: Requeueing| {
                        u128::from(at_ms.saturating_sub(earlier.since_ms)) > REQUEUEING.as_millis()
                    };
                    if kept.requeueing.is_none_or(over) {
                        kept.requeueing = Some(Requeueing { by, since_ms: at_ms });
                        // It is about to be in its queue once more.
                        kept.again = None;
                    }
                }
            }
            Step::Requeued { id } => {
                if let Some(Kept { key, again: Some(letter), .. }) = self.remove(id) {
                    self.keep(key, letter);
                }
            }
        }
        None
    }

    fn put(&mut self, id: u64, at_ms: u64, new: NewDeadLetter) -> Option<DeadLetter> {
        let NewDeadLetter { origin, key, reason, attempts, message } = new;
        let letter = DeadLetter { id, origin, reason, attempts, at_ms, message };
        if let Some(kept) = self.ids.get(&(origin, key)).and_then(|id| self.kept.get_mut(id)) {
            if kept.requeueing.is_some() {
                kept.again = Some(letter);
            }
            return None;
        }
        self.keep(key, letter);
        let oldest = *self.kept.keys().next().filter(|_| self.kept.len() > self.most)?;
        self.remove(oldest).map(|kept| kept.letter)
    }

    fn keep(&mut self, key: u128, letter: DeadLetter) {
        self.ids.insert((letter.origin, key), letter.id);
        self.kept.insert(letter.id, Kept { letter, key, requeueing: None, again: None });
    }

    fn remove(&mut self, id: u64) -> Option<Kept> {
        let kept = self.kept.remove(&id)?;
        self.ids.remove(&(kept.letter.origin, kept.key));
        Some(kept)
    }

    /// The log begins at this offset by now. What it does not hold any more was needed by nobody: that those
    /// before are gone was said there.
    pub fn begins_at(&mut self, first: u64) {
        while let Some(oldest) = self.kept.keys().next().copied().filter(|id| id - 1 < first) {
            self.remove(oldest);
        }
    }

    /// Those behind an id, oldest first.
    pub fn list(&self, after: u64, limit: u32) -> Vec<DeadLetter> {
        let later = after.checked_add(1).map(|from| self.kept.range(from..)).into_iter().flatten();
        later.take(limit as usize).map(|(_, kept)| kept.letter.clone()).collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether one is kept.
    pub fn contains(&self, id: u64) -> bool {
        self.kept.contains_key(&id)
    }

    /// Where one goes back to and what it holds, if `by` is the one who requeues it.
    pub fn requeued_by(&self, id: u64, by: u64) -> Option<(Origin, Bytes)> {
        let kept = self.kept.get(&id)?;
        let is_mine = kept.requeueing.is_some_and(|requeueing| requeueing.by == by);
        is_mine.then(|| (kept.letter.origin, kept.letter.message.clone()))
    }

    /// The first offset that is still needed, if the log was read before `next`.
    pub fn needed_from(&self, next: u64) -> u64 {
        self.kept.keys().next().map_or(next, |id| id - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::Partition;

    fn put(key: u128) -> Step {
        let (origin, message) = (Origin::Inbound(Partition(1)), Bytes::from(key.to_string()));
        Step::Put(NewDeadLetter { origin, key, reason: "r".into(), attempts: 1, message })
    }

    fn ids(table: &Table) -> Vec<u64> {
        table.list(0, 100).iter().map(|letter| letter.id).collect()
    }

    fn folded(most: usize, steps: Vec<Step>) -> Table {
        let mut table = Table::new(most);
        for (offset, step) in (0..).zip(steps) {
            table.apply(offset, offset, step);
        }
        table
    }

    #[test]
    fn the_same_message_is_one_dead_letter_while_it_is_kept() {
        let table = folded(9, vec![put(7), put(8), put(7), Step::Requeued { id: 1 }, put(7)]);
        assert_eq!(ids(&table), [2, 5]);
        assert_eq!(table.list(2, 9)[0].at_ms, 4);
        assert_eq!((table.list(u64::MAX, 9).len(), table.list(0, 1).len()), (0, 1));
        assert_eq!((table.needed_from(5), Table::new(1).needed_from(5)), (1, 5));
    }

    #[test]
    fn the_oldest_gives_way() {
        let mut table = folded(2, vec![put(1), put(2)]);
        let gone = table.apply(2, 2, put(3)).map(|letter| letter.id);
        assert_eq!((gone, ids(&table)), (Some(1), vec![2, 3]));
        // It may die again.
        assert_eq!(table.apply(3, 3, put(1)).map(|letter| letter.id), Some(2));
    }

    #[test]
    fn one_that_dies_again_while_it_is_requeued_is_kept() {
        let requeueing = || Step::Requeueing { id: 1, by: 5 };
        let table = folded(9, vec![put(7), requeueing(), put(7), Step::Requeued { id: 1 }]);
        assert_eq!((ids(&table), table.list(0, 9)[0].at_ms), (vec![3], 2));
        // It is the same one, and not being requeued itself.
        assert_eq!((table.requeued_by(3, 5), table.needed_from(9)), (None, 2));
        // Who began died, and somebody requeues it later: what it died of is in its queue again.
        let mut table = folded(9, vec![put(7), requeueing(), put(7)]);
        let late = 2 + REQUEUEING.as_millis() as u64;
        table.apply(3, late, Step::Requeueing { id: 1, by: 6 });
        table.apply(4, late, Step::Requeued { id: 1 });
        assert!(ids(&table).is_empty());
    }

    #[test]
    fn what_the_log_holds_no_more_is_gone() {
        let mut table = folded(9, vec![put(7), put(8), put(9)]);
        table.begins_at(1);
        assert_eq!(ids(&table), [2, 3]);
        table.begins_at(3);
        // The same message may die again.
        table.apply(3, 3, put(9));
        assert_eq!(ids(&table), [4]);
    }

    #[test]
    fn the_first_who_wants_to_requeue_does_until_it_counts_as_gone() {
        let mut table = folded(9, vec![put(1)]);
        let wanted = |by| Step::Requeueing { id: 1, by };
        let late = REQUEUEING.as_millis() as u64;
        let mut lead = |at_ms, by| {
            table.apply(at_ms, at_ms, wanted(by));
            table.requeued_by(1, by).is_some()
        };
        assert!(lead(10, 5));
        assert!(!lead(10 + late, 6));
        assert!(lead(11 + late, 6));
        assert!(!lead(12 + late, 5));
        table.apply(99, 99, Step::Requeued { id: 1 });
        assert_eq!((table.contains(1), table.requeued_by(1, 6)), (false, None));
    }

    #[test]
    fn steps_are_read_back() {
        for step in [put(u128::MAX), Step::Requeueing { id: 3, by: 4 }, Step::Requeued { id: 3 }] {
            let record = step.encode();
            assert_eq!(Step::decode(&record), Some(step));
            assert_eq!(Step::decode(&record[..record.len() - 1]), None);
            assert_eq!(Step::decode(&[&record[..], &[0]].concat()), None);
        }
        assert_eq!(Step::decode(b""), None);
        assert_eq!(Step::decode(&[2, 2, 3]), None);
    }
}
