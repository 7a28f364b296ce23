//! Dead letters: those that are listed, those whose death is not durable yet, and those that are on
//! their way back.
//!
//! Letters are numbered in the order of their deaths, and a letter is listed only once its number is
//! durable: an id that somebody has seen names the same letter for ever.

use super::message::weight;
use ports::broker::DeadLetter;
use std::collections::BTreeMap;

/// A dead letter and where it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// The letter.
    pub letter: DeadLetter,
    /// The oldest log segment that is needed to restore it.
    pub segment: u32,
}

impl Letter {
    /// What it weighs in the log: the message, and the reason that is stored beside it.
    pub fn weight(&self) -> u64 {
        weight(&self.letter.message) + self.reason_weight()
    }

    /// What it weighs more than its message.
    pub fn reason_weight(&self) -> u64 {
        self.letter.reason.len() as u64
    }
}

/// All dead letters.
#[derive(Debug, Default)]
pub struct Letters {
    listed: BTreeMap<u64, Letter>,
    dying: BTreeMap<u64, Letter>,
    /// Letter to the number that it will have as a message.
    leaving: BTreeMap<u64, u64>,
}

impl Letters {
    /// A message died; the record of it is not durable yet.
    pub fn die(&mut self, letter: Letter) {
        self.dying.insert(letter.letter.id, letter);
    }

    /// The death is durable.
    pub fn died(&mut self, id: u64) {
        if let Some(letter) = self.dying.remove(&id) {
            self.listed.insert(id, letter);
        }
    }

    /// A letter that is durable already.
    pub fn list(&mut self, letter: Letter) {
        self.listed.insert(letter.letter.id, letter);
    }

    /// A letter is to go back to its queue, under this number as a message.
    pub fn leave(&mut self, id: u64, message: u64) {
        self.leaving.insert(id, message);
    }

    /// It has left.
    pub fn left(&mut self, id: u64) -> Option<Letter> {
        self.leaving.remove(&id);
        self.listed.remove(&id)
    }

    /// A letter that is listed and not on its way back.
    pub fn get(&self, id: u64) -> Option<&Letter> {
        self.listed.get(&id).filter(|_| !self.leaving.contains_key(&id))
    }

    /// Whether this letter exists in any state.
    pub fn knows(&self, id: u64) -> bool {
        self.listed.contains_key(&id) || self.dying.contains_key(&id)
    }

    /// Whether it died in a queue in memory, and the log does not know it yet.
    pub fn is_dying_in_memory(&self, id: u64) -> bool {
        self.dying.get(&id).is_some_and(|letter| letter.segment == 0)
    }

    /// Where a dying letter is stored.
    pub fn set_segment(&mut self, id: u64, segment: u32) {
        if let Some(letter) = self.dying.get_mut(&id) {
            letter.segment = segment;
        }
    }

    /// Listed letters behind an id.
    pub fn after(&self, id: u64, limit: u32) -> Vec<DeadLetter> {
        let behind = self.listed.range((std::ops::Bound::Excluded(id), std::ops::Bound::Unbounded));
        let staying = behind.filter(|(id, _)| !self.leaving.contains_key(id));
        staying.take(limit as usize).map(|(_, letter)| letter.letter.clone()).collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.listed.len() + self.dying.len() - self.leaving.len()
    }

    /// Every letter, and the number that it will have as a message if it is on its way back.
    pub fn all(&self) -> impl Iterator<Item = (&Letter, Option<u64>)> {
        let all = self.listed.iter().chain(&self.dying);
        all.map(|(id, letter)| (letter, self.leaving.get(id).copied()))
    }

    /// Every letter, to change where it is stored.
    pub fn all_mut(&mut self) -> impl Iterator<Item = &mut Letter> {
        self.listed.values_mut().chain(self.dying.values_mut())
    }
}
