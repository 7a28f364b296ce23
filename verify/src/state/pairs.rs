//! Slots for (user, conversation) and (device, conversation), given out when first mentioned.
//!
//! One open-addressing table with a fixed hash finds the (user, conversation); the user's devices
//! follow each other from there, so that one look-up serves both.

use super::NONE;
use super::fingerprint::mix;
use super::intervals::Intervals;
use super::members::Member;
use protocol::tight;

/// How far a device's stream of a conversation has got.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stream {
    /// When the stream began last, or ended by `Detached`.
    pub attached_at: u64,
    /// The device's session in which it began; 0: it ended.
    pub session: u32,
    /// The highest sequence that was shown, or behind which a stream began.
    pub last: u32,
    /// Behind which the first stream began, or its head if that was less: nothing up to here is owed to
    /// the device.
    pub base: u32,
    /// Behind which the stream began last.
    pub from: u32,
    /// Whether a stream ever began or anything was shown.
    pub known: bool,
    /// Whether a stream ended by `Detached` since `last` was set.
    pub left: bool,
}

/// What is known of a device in a conversation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pair {
    pub stream: Stream,
    /// Everything that was shown.
    pub shown: Intervals,
}

/// All slots.
pub(crate) struct Pairs {
    devices: u32,
    table: Vec<(u64, u32)>,
    pub members: Vec<Member>,
    slots: Vec<Pair>,
    /// The slots of each conversation.
    of: Vec<Vec<u32>>,
}

/// No key: users and conversations are below this.
const EMPTY: u64 = u64::MAX;

impl Pairs {
    pub fn new(devices: u32) -> Self {
        let table = vec![(EMPTY, NONE); 1024];
        Self { devices, table, members: Vec::new(), slots: Vec::new(), of: Vec::new() }
    }

    /// The slot of a (user, conversation), both from 0; made if it is new.
    pub fn who(&mut self, user: u32, conversation: u32) -> u32 {
        let key = (u64::from(user) << 32) | u64::from(conversation);
        let mask = self.table.len() - 1;
        let mut at = mix(key) as usize & mask;
        loop {
            let (found, slot) = self.table[at];
            if found == key {
                return slot;
            }
            if found == EMPTY {
                break;
            }
            at = (at + 1) & mask;
        }
        let slot = self.members.len() as u32;
        self.table[at] = (key, slot);
        tight::reserve(&mut self.members, slot as usize + 1);
        self.members.push(Member::new(user, conversation));
        let conversations = conversation as usize + 1;
        if self.of.len() < conversations {
            tight::reserve(&mut self.of, conversations);
            self.of.resize(conversations, Vec::new());
        }
        let of = &mut self.of[conversation as usize];
        tight::insert(of, of.len(), slot);
        let pairs = self.members.len() * self.devices as usize;
        tight::reserve(&mut self.slots, pairs);
        self.slots.resize_with(pairs, Pair::default);
        // Half full at most, so that a search ends after one or two steps.
        if self.members.len() * 2 > self.table.len() {
            self.grow();
        }
        slot
    }

    /// The slot of a (user, conversation), if it has one.
    pub fn find(&self, user: u32, conversation: u32) -> Option<u32> {
        let key = (u64::from(user) << 32) | u64::from(conversation);
        let mask = self.table.len() - 1;
        let mut at = mix(key) as usize & mask;
        loop {
            match self.table[at] {
                (found, slot) if found == key => return Some(slot),
                (EMPTY, _) => return None,
                _ => at = (at + 1) & mask,
            }
        }
    }

    fn grow(&mut self) {
        let mut table = vec![(EMPTY, NONE); self.table.len() * 2];
        let mask = table.len() - 1;
        for &(key, slot) in self.table.iter().filter(|(key, _)| *key != EMPTY) {
            let mut at = mix(key) as usize & mask;
            while table[at].0 != EMPTY {
                at = (at + 1) & mask;
            }
            table[at] = (key, slot);
        }
        self.table = table;
    }

    /// The slots of a conversation.
    pub fn of_conversation(&self, conversation: usize) -> &[u32] {
        self.of.get(conversation).map_or(&[], Vec::as_slice)
    }

    /// The slot of a device of it, from 0.
    pub const fn pair_of(&self, who: u32, device: u32) -> u32 {
        who * self.devices + device
    }

    pub fn pair(&self, pair: u32) -> &Pair {
        &self.slots[pair as usize]
    }

    pub fn pair_mut(&mut self, pair: u32) -> &mut Pair {
        &mut self.slots[pair as usize]
    }

    /// Every (device, conversation) in which a stream ever began, with its slot.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Pair)> {
        (0..).zip(&self.slots).filter(|(_, pair)| pair.stream.known)
    }

    /// The highest sequence that any device of the user has in its stream; `None`: no device has one.
    pub fn last_of(&self, who: u32) -> Option<u32> {
        let first = (who * self.devices) as usize;
        let devices = &self.slots[first..first + self.devices as usize];
        devices.iter().filter(|pair| pair.stream.known).map(|pair| pair.stream.last).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_pair_keeps_its_slot_while_the_table_grows() {
        let mut pairs = Pairs::new(2);
        let slots: Vec<u32> = (0..5_000).map(|n| pairs.who(n % 70, n / 70)).collect();
        assert_eq!(slots, (0..5_000).collect::<Vec<u32>>());
        assert_eq!(pairs.who(4_321 % 70, 4_321 / 70), 4_321);
        assert_eq!(pairs.pair_of(3, 1), 7);
    }
}
