//! Dead letters: those that are listed, those that are not durable yet, and those that are on their
//! way back.
//!
//! They are numbered in the order of their deaths, and one is listed only once its number is durable:
//! an id that somebody has seen names the same one for ever.

use super::message::weight;
use ports::broker::{DeadLetter, Origin};
use std::collections::BTreeMap;

/// A dead letter and where it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredDeadLetter {
    /// What is listed.
    pub dead: DeadLetter,
    /// Names it within its origin, if whoever put it gave it a key.
    pub key: Option<u128>,
    /// The oldest log segment that is needed to restore it.
    pub segment: u32,
}

impl StoredDeadLetter {
    /// What it weighs in the log: the message, and the reason that is stored beside it.
    pub fn weight(&self) -> u64 {
        weight(&self.dead.message) + self.reason_weight()
    }

    /// What it weighs more than its message.
    pub fn reason_weight(&self) -> u64 {
        self.dead.reason.len() as u64
    }
}

/// All dead letters.
#[derive(Debug, Default)]
pub struct DeadLetters {
    listed: BTreeMap<u64, StoredDeadLetter>,
    /// Those listed that have a key.
    by_key: BTreeMap<(Origin, u128), u64>,
    dying: BTreeMap<u64, StoredDeadLetter>,
    /// To the number that each will have as a message; `None`: it gives way to newer ones.
    leaving: BTreeMap<u64, Option<u64>>,
    /// Of those listed up to here, all that gave way are leaving.
    shed_through: u64,
}

impl DeadLetters {
    /// A message died; the record of it is not durable yet.
    pub fn die(&mut self, stored: StoredDeadLetter) {
        self.dying.insert(stored.dead.id, stored);
    }

    /// The death is durable.
    pub fn died(&mut self, id: u64) {
        if let Some(stored) = self.dying.remove(&id) {
            self.list(stored);
        }
    }

    /// One that is durable already. False, and nothing happens, if one of its key is listed.
    pub fn list(&mut self, stored: StoredDeadLetter) -> bool {
        if let Some(key) = stored.key {
            if self.has(stored.dead.origin, key) {
                return false;
            }
            self.by_key.insert((stored.dead.origin, key), stored.dead.id);
        }
        self.listed.insert(stored.dead.id, stored);
        true
    }

    /// Whether one of this key is listed.
    pub fn has(&self, origin: Origin, key: u128) -> bool {
        self.by_key.contains_key(&(origin, key))
    }

    /// Whether one of this key is listed and stays.
    pub fn keeps(&self, origin: Origin, key: u128) -> bool {
        self.by_key.get(&(origin, key)).is_some_and(|id| !self.leaving.contains_key(id))
    }

    /// One is to go back to its queue, under this number as a message.
    pub fn leave(&mut self, id: u64, message: u64) {
        self.leaving.insert(id, Some(message));
    }

    /// The oldest is to give way; which one that is. What is not durable yet, or leaves anyhow, does not.
    pub fn shed(&mut self) -> Option<&StoredDeadLetter> {
        let mut candidates = self.listed.range(self.shed_through + 1..);
        let (id, oldest) = candidates.find(|(id, _)| !self.leaving.contains_key(id))?;
        self.shed_through = *id;
        self.leaving.insert(*id, None);
        Some(oldest)
    }

    /// It has given way, if that is what it was to do.
    pub fn gave_way(&mut self, id: u64) {
        if self.leaving.get(&id) == Some(&None) {
            self.left(id);
        }
    }

    /// It has left.
    pub fn left(&mut self, id: u64) -> Option<StoredDeadLetter> {
        self.leaving.remove(&id);
        let left = self.listed.remove(&id)?;
        if let Some(key) = left.key {
            self.by_key.remove(&(left.dead.origin, key));
        }
        Some(left)
    }

    /// Whether one is listed and not on its way back.
    pub fn stays(&self, id: u64) -> bool {
        self.listed.contains_key(&id) && !self.leaving.contains_key(&id)
    }

    /// Whether this one is listed or dying.
    pub fn knows(&self, id: u64) -> bool {
        self.listed.contains_key(&id) || self.dying.contains_key(&id)
    }

    /// Those listed behind an id.
    pub fn after(&self, id: u64, limit: u32) -> Vec<DeadLetter> {
        let behind = self.listed.range((std::ops::Bound::Excluded(id), std::ops::Bound::Unbounded));
        let staying = behind.filter(|(id, _)| !self.leaving.contains_key(id));
        staying.take(limit as usize).map(|(_, stored)| stored.dead.clone()).collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.listed.len() + self.dying.len() - self.leaving.len()
    }

    /// All that do not give way, with the number that it will have as a message if it is on its way back.
    pub fn all(&self) -> impl Iterator<Item = (&StoredDeadLetter, Option<u64>)> {
        let all = self.listed.iter().chain(&self.dying);
        all.filter_map(|(id, stored)| match self.leaving.get(id) {
            None => Some((stored, None)),
            Some(message) => message.map(|message| (stored, Some(message))),
        })
    }

    /// All, to change where they are stored.
    pub fn all_mut(&mut self) -> impl Iterator<Item = &mut StoredDeadLetter> {
        self.listed.values_mut().chain(self.dying.values_mut())
    }
}
