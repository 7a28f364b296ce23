//! Values by session: dense vectors whose keys are never used twice.
//!
//! A `SessionId` carries the index of its slot in its low 24 bits and a birth number above, so that
//! finding a session costs one look and an answer for a dead session finds nothing. One `Slab` gives
//! the keys; what other parts know of a session stands in `Slots` of their own under the same key.

use protocol::SessionId;

const INDEX_BITS: u32 = 24;
/// Most values at a time.
pub const CAPACITY: usize = 1 << INDEX_BITS;

/// Values by keys that a slab has given. Large values belong into a box: an empty slot has their size.
#[derive(Debug)]
pub struct Slots<T>(Vec<Option<(SessionId, T)>>);

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Slots<T> {
    /// The value of a key.
    #[inline]
    pub fn get(&self, id: SessionId) -> Option<&T> {
        self.0.get(slot(id))?.as_ref().filter(|held| held.0 == id).map(|held| &held.1)
    }

    /// The value of a key, to change.
    #[inline]
    pub fn get_mut(&mut self, id: SessionId) -> Option<&mut T> {
        self.0.get_mut(slot(id))?.as_mut().filter(|held| held.0 == id).map(|held| &mut held.1)
    }

    /// Puts a value in, in place of whatever an earlier session has left in the slot.
    pub fn set(&mut self, id: SessionId, value: T) -> &mut T {
        let slot = slot(id);
        if slot >= self.0.len() {
            self.0.resize_with(slot + 1, || None);
        }
        &mut self.0[slot].insert((id, value)).1
    }

    /// Takes a value out.
    pub fn remove(&mut self, id: SessionId) -> Option<T> {
        self.get(id)?;
        self.0[slot(id)].take().map(|held| held.1)
    }

    /// All keys and values, by slot.
    pub fn iter(&self) -> impl Iterator<Item = (SessionId, &T)> {
        self.0.iter().flatten().map(|(id, value)| (*id, value))
    }
}

/// Values and the source of their keys.
#[derive(Debug)]
pub struct Slab<T> {
    slots: Slots<T>,
    free: Vec<u32>,
    born: u64,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { slots: Slots::default(), free: Vec::new(), born: 0 }
    }
}

impl<T> Slab<T> {
    /// Puts a value in; its key is new for ever.
    pub fn insert(&mut self, value: T) -> SessionId {
        let index = self.free.pop().unwrap_or(self.width() as u32);
        assert!((index as usize) < CAPACITY, "more than {CAPACITY} sessions");
        self.born += 1;
        let id = SessionId((self.born << INDEX_BITS) | u64::from(index));
        let held = self.slots.0.get(index as usize).and_then(Option::as_ref).map(|held| held.0);
        assert_eq!(held, None, "slot {index} is free, and not empty");
        self.slots.set(id, value);
        id
    }

    /// The value of a key.
    pub fn get(&self, id: SessionId) -> Option<&T> {
        self.slots.get(id)
    }

    /// Takes a value out.
    pub fn remove(&mut self, id: SessionId) -> Option<T> {
        let value = self.slots.remove(id)?;
        debug_assert!(
            self.free.len() > 256 || !self.free.contains(&(slot(id) as u32)),
            "the slot of {id} is taken and free"
        );
        self.free.push(slot(id) as u32);
        Some(value)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.width() - self.free.len()
    }

    /// Slots, used or not.
    pub fn width(&self) -> usize {
        self.slots.0.len()
    }

    /// The key in a slot, if it is used.
    pub fn key(&self, slot: usize) -> Option<SessionId> {
        self.slots.0.get(slot)?.as_ref().map(|held| held.0)
    }

    /// All keys, by slot.
    pub fn keys(&self) -> Vec<SessionId> {
        self.slots.iter().map(|(id, _)| id).collect()
    }
}

/// The index of a key's slot.
#[inline]
pub fn slot(id: SessionId) -> usize {
    (id.0 & (CAPACITY as u64 - 1)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_never_used_twice() {
        let mut slab = Slab::default();
        let mut beside = Slots::default();
        let first = slab.insert("first");
        beside.set(first, 1);
        assert_eq!(slab.remove(first), Some("first"));
        let second = slab.insert("second");
        assert_ne!(first, second);
        assert_eq!((slab.get(first), slab.get(second)), (None, Some(&"second")));
        assert_eq!((slab.len(), slab.width()), (1, 1));
        assert_eq!((beside.get(first), beside.get(second)), (Some(&1), None));
        beside.set(second, 2);
        assert_eq!((beside.remove(first), beside.remove(second)), (None, Some(2)));
    }
}
