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
    /// Of those that are gone and were put once more while they were kept: from the offset of the first to that of
    /// the last time. A log that began in between would bring them back.
    repeated: Vec<(u64, u64)>,
}

#[derive(Clone, Debug)]
struct Kept {
    letter: DeadLetter,
    key: u128,
    requeueing: Option<Requeueing>,
    /// The last offset at which it was put again, and which counts for nothing.
    repeated: Option<u64>,
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
        Self { most, kept: BTreeMap::new(), ids: BTreeMap::new(), repeated: Vec::new() }
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
                        let repeated = kept.again.take().map(|letter| letter.id - 1);
                        kept.repeated = kept.repeated.max(repeated);
                    }
                }
            }
            Step::Requeued { id } => {
                if let Some(mut kept) = self.remove(id) {
                    if let Some(letter) = kept.again.take() {
                        self.keep(kept.key, letter);
                    }
                    self.left(&kept);
                }
            }
        }
        None
    }

    fn put(&mut self, id: u64, at_ms: u64, new: NewDeadLetter) -> Option<DeadLetter> {
        let NewDeadLetter { origin, key, reason, attempts, message } = new;
        let letter = DeadLetter { id, origin, reason, attempts, at_ms, message };
        if let Some(kept) = self.ids.get(&(origin, key)).and_then(|id| self.kept.get_mut(id)) {
            let repeated = if kept.requeueing.is_some() {
                kept.again.replace(letter).map(|earlier| earlier.id - 1)
            } else {
                Some(id - 1)
            };
            kept.repeated = kept.repeated.max(repeated);
            return None;
        }
        self.keep(key, letter);
        let oldest = *self.kept.keys().next().filter(|_| self.kept.len() > self.most)?;
        let gone = self.remove(oldest)?;
        self.left(&gone);
        Some(gone.letter)
    }

    /// One is gone by a step of the log.
    fn left(&mut self, gone: &Kept) {
        let again = gone.again.as_ref().map(|letter| letter.id - 1);
        if let Some(last) = gone.repeated.max(again) {
            self.repeated.push((gone.letter.id - 1, last));
        }
        if !self.kept.is_empty() {
            // What is needed comes after these by now, and no log will begin among them.
            let needed = self.needed_from(u64::MAX);
            self.repeated.retain(|(_, last)| *last >= needed);
        }
    }

    fn keep(&mut self, key: u128, letter: DeadLetter) {
        self.ids.insert((letter.origin, key), letter.id);
        let kept = Kept { key, requeueing: None, repeated: None, again: None, letter };
        self.kept.insert(kept.letter.id, kept);
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

    /// The first offset that is still needed, if the log was read before `next`: who reads from there comes to the same
    /// table.
    pub fn needed_from(&self, next: u64) -> u64 {
        let mut needed = self.kept.keys().next().map_or(next, |id| id - 1);
        while let Some((first, _)) =
            self.repeated.iter().find(|(first, last)| (first + 1..=*last).contains(&needed))
        {
            needed = *first;
        }
        needed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use protocol::Partition;
    use std::collections::BTreeSet;

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
        // From offset 1 on, what was put at 2 would be another one.
        assert_eq!((table.needed_from(5), Table::new(1).needed_from(5)), (0, 5));
        let table = folded(9, vec![put(7), put(7), Step::Requeued { id: 1 }, put(8)]);
        assert_eq!(table.needed_from(4), 3);
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

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            3 => (0..4_u128).prop_map(put),
            1 => (1..24_u64, 5..7_u64).prop_map(|(id, by)| Step::Requeueing { id, by }),
            2 => (1..24_u64).prop_map(|id| Step::Requeued { id }),
        ];
        proptest::collection::vec(step, 0..40)
    }

    proptest! {
        #[test]
        fn whoever_reads_what_is_needed_comes_to_the_same_table(
            steps in steps(),
            most in 1..4_usize,
            at in 0..40_usize,
        ) {
            // Some requeue for longer than they may.
            let at_ms = |offset: u64| offset * REQUEUEING.as_millis() as u64 / 3;
            let (mut all, mut needed) = (Table::new(most), 0);
            let (mut log, mut seen) = (Vec::new(), BTreeSet::new());
            for (offset, step) in (0..).zip(steps) {
                // Nobody names what nobody has seen.
                let is_known = match &step {
                    Step::Put(_) => true,
                    Step::Requeueing { id, .. } | Step::Requeued { id } => seen.contains(id),
                };
                let step = if is_known { step } else { Step::Requeued { id: u64::MAX } };
                log.push(step.clone());
                all.apply(offset, at_ms(offset), step);
                seen.extend(ids(&all));
                if offset as usize <= at {
                    let from = all.needed_from(offset + 1);
                    prop_assert!(from >= needed, "{} behind {}", from, needed);
                    needed = from;
                }
            }
            let mut rest = Table::new(most);
            rest.begins_at(needed);
            for (offset, step) in (0..).zip(log).skip(needed as usize) {
                rest.apply(offset, at_ms(offset), step);
            }
            prop_assert_eq!(rest.list(0, 100), all.list(0, 100));
            for id in ids(&all) {
                for by in 5..7 {
                    prop_assert_eq!(rest.requeued_by(id, by), all.requeued_by(id, by));
                }
            }
        }
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
