//! Takes in what another judge learned of another part of the same run.
//!
//! Conversations come whole, with their members and streams; what both know (sessions, phases, faults)
//! is the same on both sides. After that nothing is observed any more.

use super::State;
use protocol::ConversationId;

/// Whether a part has a conversation, by its index.
fn has(state: &State, index: u32) -> bool {
    state.part.has_conversation(ConversationId(u64::from(index) + 1))
}

/// Where the slots of the other judge are now.
pub(crate) struct Slots {
    members: Vec<u32>,
    devices: u32,
}

impl Slots {
    /// The slot of a (user, conversation).
    pub fn member(&self, slot: u32) -> u32 {
        self.members[slot as usize]
    }

    /// The slot of a (device, conversation).
    pub fn pair(&self, slot: u32) -> u32 {
        self.member(slot / self.devices) * self.devices + slot % self.devices
    }
}

impl State {
    /// Takes everything over.
    pub fn merge(&mut self, mut other: Self) -> Slots {
        assert!(self.header == other.header, "parts of different runs cannot be merged");
        self.merge_recent(&mut other);
        self.now = self.now.max(other.now);
        self.is_asked |= other.is_asked;
        for (mine, theirs) in self.revoked.iter_mut().zip(&other.revoked) {
            *mine = (*mine).min(*theirs);
        }
        for (mine, theirs) in self.devices.iter_mut().zip(std::mem::take(&mut other.devices)) {
            mine.merge(theirs);
        }
        self.reads.merge(std::mem::take(&mut other.reads));
        self.run.merge(&other.run);
        for (sender, id) in self.ledger.merge(&mut other.ledger) {
            self.used_twice(sender, id);
        }
        let slots = self.merge_conversations(&mut other);
        self.part = self.part.merged(other.part);
        slots
    }

    fn merge_conversations(&mut self, other: &mut Self) -> Slots {
        for index in 0..self.header.conversations {
            if !has(other, index) {
                continue;
            }
            let (mine, theirs) = (&mut self.logs[index as usize], &mut other.logs[index as usize]);
            let recent = mine.recent;
            *mine = std::mem::take(theirs);
            mine.recent = recent;
        }
        let devices = self.header.devices_per_user;
        let mut slots = Slots { members: Vec::new(), devices };
        for (slot, member) in (0..).zip(std::mem::take(&mut other.pairs.members)) {
            let here = self.pairs.who(member.user, member.conversation);
            slots.members.push(here);
            if !has(other, member.conversation) {
                continue;
            }
            for device in 0..devices {
                let theirs =
                    std::mem::take(other.pairs.pair_mut(other.pairs.pair_of(slot, device)));
                *self.pairs.pair_mut(self.pairs.pair_of(here, device)) = theirs;
            }
            self.pairs.members[here as usize] = member;
        }
        slots
    }
}
