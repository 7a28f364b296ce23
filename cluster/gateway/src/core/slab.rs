//! Sessions by number: a dense vector whose keys are never used twice.
//!
//! A `SessionId` carries the index of its slot in its low 24 bits and a birth number above, so that
//! finding a session costs one look and an answer for a dead session finds nothing.

use protocol::SessionId;

const INDEX_BITS: u32 = 24;
/// Most values at a time.
pub const CAPACITY: usize = 1 << INDEX_BITS;

/// Values by `SessionId`.
#[derive(Debug)]
pub struct Slab<T> {
    slots: Vec<Option<Box<(SessionId, T)>>>,
    free: Vec<u32>,
    born: u64,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { slots: Vec::new(), free: Vec::new(), born: 0 }
    }
}

impl<T> Slab<T> {
    /// Puts a value in; its key is new for ever.
    pub fn insert(&mut self, value: T) -> SessionId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            (self.slots.len() - 1) as u32
        });
        assert!((index as usize) < CAPACITY, "more than {CAPACITY} sessions");
        self.born += 1;
        let id = SessionId((self.born << INDEX_BITS) | u64::from(index));
        let held = self.slots[index as usize].as_ref().map(|held| held.0);
        assert_eq!(held, None, "slot {index} is free, and not empty");
        self.slots[index as usize] = Some(Box::new((id, value)));
        id
    }

    /// The value of a key.
    pub fn get(&self, id: SessionId) -> Option<&T> {
        self.slots.get(slot(id))?.as_deref().filter(|held| held.0 == id).map(|held| &held.1)
    }

    /// The value of a key, to change.
    pub fn get_mut(&mut self, id: SessionId) -> Option<&mut T> {
        self.slots
            .get_mut(slot(id))?
            .as_deref_mut()
            .filter(|held| held.0 == id)
            .map(|held| &mut held.1)
    }

    /// Takes a value out.
    pub fn remove(&mut self, id: SessionId) -> Option<T> {
        self.get(id)?;
        debug_assert!(
            self.free.len() > 256 || !self.free.contains(&(slot(id) as u32)),
            "the slot of {id} is taken and free"
        );
        self.free.push(slot(id) as u32);
        self.slots[slot(id)].take().map(|held| held.1)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Slots, used or not: the range of `keys_between`.
    pub fn width(&self) -> usize {
        self.slots.len()
    }

    /// The keys in a range of slots.
    pub fn keys_between(&self, from: usize, to: usize) -> Vec<SessionId> {
        self.slots[from.min(self.slots.len())..to.min(self.slots.len())]
            .iter()
            .filter_map(|held| held.as_ref().map(|held| held.0))
            .collect()
    }
}

fn slot(id: SessionId) -> usize {
    (id.0 & (CAPACITY as u64 - 1)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_never_used_twice() {
        let mut slab = Slab::default();
        let first = slab.insert("first");
        assert_eq!(slab.remove(first), Some("first"));
        let second = slab.insert("second");
        assert_ne!(first, second);
        assert_eq!(slab.get(first), None);
        assert_eq!(slab.get(second), Some(&"second"));
        assert_eq!(slab.len(), 1);
        assert_eq!(slab.width(), 1);
    }
}
