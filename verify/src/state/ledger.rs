//! Every send, edit and deletion that was invoked, and what became of it: 32 bytes each.
//!
//! The records of a device are ordered by message id. Ids rise by an even step in practice, so that
//! the first guess of a look-up is right; otherwise it is a binary search. Compacted sends leave (see
//! `compaction`); the range of their ids stays.

use protocol::{ClientMessageId, UserId};

/// What became of a send: bits.
pub(crate) mod status {
    /// Told to be durable.
    pub const ACCEPTED: u32 = 1;
    /// Refused for good at the first attempt, or by a decision that stands: it must never appear.
    pub const REFUSED: u32 = 2;
    /// Refused for good, at any attempt.
    pub const FINAL: u32 = 4;
    /// Refused for now, and not sent again within the time for which its position was held.
    pub const LAPSED: u32 = 8;
    /// Sent more than once.
    pub const RESENT: u32 = 16;
    /// Refused because it is a dead letter.
    pub const DEAD: u32 = 32;
    /// Found among the dead letters.
    pub const LETTER: u32 = 64;
    /// Invoked when the user's tokens had been revoked for longer than they may be honoured, and no new
    /// one was granted since.
    pub const LATE: u32 = 128;
    /// Seen under two sequences.
    pub const TWICE: u32 = 512;
    /// A message, and no edit or deletion.
    pub const MESSAGE: u32 = 1_024;
    /// Put back from the dead letters.
    pub const REQUEUED: u32 = 256;
}

/// One send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Record {
    pub id: u64,
    /// Fingerprint of the entry that it becomes.
    pub fingerprint: u32,
    /// Index of the conversation.
    pub conversation: u32,
    /// The sequence that the sender was told first; 0: none.
    pub acked: u32,
    /// The sequence under which it was first seen; 0: nowhere.
    pub seen: u32,
    /// Bits of `status`.
    pub status: u32,
}

impl Record {
    pub const fn is(&self, bits: u32) -> bool {
        self.status & bits != 0
    }
}

/// Where a record is. Stays valid until the device gets a record out of order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    /// The slot of the device that sent it.
    pub sender: u32,
    pub index: u32,
}

/// The sends of all devices.
pub(crate) struct Ledger {
    records: Vec<Vec<Record>>,
    devices: u32,
    /// Per device the lowest and the highest id that left; (0, 0): none did.
    gone: Vec<(u64, u64)>,
}

impl Ledger {
    pub fn new(senders: usize, devices: u32) -> Self {
        Self { records: vec![Vec::new(); senders], devices, gone: vec![(0, 0); senders] }
    }

    /// Takes the sends of another part over; returns those of which an id was used in both.
    pub fn merge(&mut self, other: &mut Self) -> Vec<(usize, u64)> {
        let mut twice = Vec::new();
        for (sender, theirs) in other.records.iter_mut().enumerate() {
            let ours = &mut self.records[sender];
            ours.append(theirs);
            ours.sort_by_key(|record| record.id);
            ours.dedup_by(|later, first| {
                let is_same = later.id == first.id;
                if is_same {
                    twice.push((sender, later.id));
                }
                is_same
            });
            let [(low, high), (other_low, other_high)] = [self.gone[sender], other.gone[sender]];
            self.gone[sender] = match (high, other_high) {
                (0, _) => (other_low, other_high),
                (_, 0) => (low, high),
                _ => (low.min(other_low), high.max(other_high)),
            };
        }
        twice
    }

    /// Notes a send; false if the device has used the id before, or a later one that is compacted.
    pub fn add(&mut self, sender: usize, record: Record) -> bool {
        let records = &mut self.records[sender];
        if records.last().is_none_or(|last| last.id < record.id) {
            records.push(record);
            return true;
        }
        let at = records.partition_point(|r| r.id < record.id);
        if records[at].id == record.id || self.gone[sender].1 >= record.id {
            return false;
        }
        records.insert(at, record);
        true
    }

    /// The send of an author and id, on whichever device.
    pub fn find(&self, author: UserId, message: ClientMessageId) -> Option<Slot> {
        let first = (author.0 as usize).checked_sub(1)?.checked_mul(self.devices as usize)?;
        let senders = self.records.get(first..first + self.devices as usize)?;
        senders.iter().enumerate().find_map(|(device, records)| {
            position(records, message.0)
                .map(|index| Slot { sender: (first + device) as u32, index: index as u32 })
        })
    }

    /// Whether an id of an author is among those that left: then it is compacted, or it was
    /// never there.
    pub fn is_gone(&self, author: UserId, message: ClientMessageId) -> bool {
        let devices = self.devices as usize;
        let first = (author.0 as usize).checked_sub(1).and_then(|user| user.checked_mul(devices));
        let ranges = first.and_then(|first| self.gone.get(first..first.saturating_add(devices)));
        ranges.is_some_and(|ranges| {
            ranges.iter().any(|&(low, high)| (low..=high).contains(&message.0) && high > 0)
        })
    }

    /// The lowest and the highest id of a device that left.
    pub fn gone(&self, sender: usize) -> (u64, u64) {
        self.gone[sender]
    }

    /// Takes compacted sends, in the order of their ids, out of those of a device.
    pub fn compact(&mut self, sender: usize, compacted: &[Record]) {
        let mut next = compacted.iter().peekable();
        self.records[sender]
            .retain(|record| next.next_if(|compacted| compacted.id == record.id).is_none());
        if let (Some(first), Some(last)) = (compacted.first(), compacted.last()) {
            let (low, high) = self.gone[sender];
            let low = if high == 0 { first.id } else { low.min(first.id) };
            self.gone[sender] = (low, high.max(last.id));
        }
    }

    pub fn get(&self, slot: Slot) -> &Record {
        &self.records[slot.sender as usize][slot.index as usize]
    }

    pub fn get_mut(&mut self, slot: Slot) -> &mut Record {
        &mut self.records[slot.sender as usize][slot.index as usize]
    }

    /// The device has a new token: what it sent without one may come now.
    pub fn forgive(&mut self, sender: usize) {
        for record in &mut self.records[sender] {
            record.status &= !status::LATE;
        }
    }

    /// The records of one device.
    pub fn of_sender(&self, sender: usize) -> &[Record] {
        &self.records[sender]
    }

    /// All records: (sender, records in the order of their ids).
    pub fn by_sender(&self) -> impl Iterator<Item = (usize, &[Record])> {
        self.records.iter().map(Vec::as_slice).enumerate()
    }

    /// The records of all devices of a user (index from 0).
    pub fn of_user(&self, user: u32) -> impl Iterator<Item = &Record> {
        let first = (user * self.devices) as usize;
        self.records[first..first + self.devices as usize].iter().flatten()
    }
}

fn position(records: &[Record], id: u64) -> Option<usize> {
    let (first, last) = (records.first()?.id, records.last()?.id);
    if id < first || id > last {
        return None;
    }
    let steps = (records.len() as u64 - 1).max(1);
    let step = ((last - first) / steps).max(1);
    let guess = ((id - first) / step) as usize;
    if records.get(guess).is_some_and(|record| record.id == id) {
        return Some(guess);
    }
    records.binary_search_by_key(&id, |record| record.id).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_pattern_of_ids_is_found() {
        for ids in
            [vec![1, 2, 3, 4], vec![10, 20, 30], vec![1, 2, 900, 901], vec![5], vec![7, 3, 9]]
        {
            let mut ledger = Ledger::new(4, 2);
            for &id in &ids {
                assert!(ledger.add(3, Record { id, ..Record::default() }));
                assert!(!ledger.add(3, Record { id, ..Record::default() }), "used before");
            }
            for id in 0..1_000 {
                let found = ledger.find(UserId(2), ClientMessageId(id));
                assert_eq!(
                    found.map(|slot| ledger.get(slot).id == id).is_some(),
                    ids.contains(&id)
                );
            }
            assert_eq!(ledger.find(UserId(1), ClientMessageId(ids[0])), None);
            assert_eq!(ledger.find(UserId(0), ClientMessageId(ids[0])), None);
            assert_eq!(ledger.find(UserId(u64::MAX), ClientMessageId(ids[0])), None);
        }
    }
}
