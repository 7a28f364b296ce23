//! What is known of each conversation's log: a fingerprint per sequence and who said so.

use std::collections::BTreeMap;

/// One sequence of a log. Fingerprints; 0: nothing yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogEntry {
    /// As it was first seen on a device, in a read or in the store.
    pub seen: u32,
    /// As its author was told first.
    pub acked: u32,
    /// As it is in the store at the end.
    pub stored: u32,
    /// The user who caused it, by the first sighting or answer; 0: not known.
    pub author: u32,
    /// When its author was told first.
    pub acked_at: u64,
    /// How long its author had waited for that since the invocation, in microseconds; `u32::MAX`: not
    /// known, or longer.
    pub waited_us: u32,
    /// Whether it was seen as two different entries.
    pub disputed: bool,
    /// Whether it is a message, as far as it was seen or told.
    pub is_message: bool,
}

impl LogEntry {
    /// When it was invoked, if that is known.
    pub fn sent_at(&self) -> Option<u64> {
        (self.acked != 0 && self.waited_us != u32::MAX)
            .then(|| self.acked_at.saturating_sub(u64::from(self.waited_us)))
    }
}

/// One conversation.
#[derive(Debug, Default)]
pub(crate) struct Log {
    entries: Vec<LogEntry>,
    /// Sequences far ahead of the rest: only a broken cluster makes them, and they must not make
    /// the dense part huge.
    far: BTreeMap<u32, LogEntry>,
    /// The highest accepted sequence.
    pub acked_head: u32,
    /// The highest sequence that anybody had seen or was told of before the final read began, and the
    /// user who had.
    pub floor: (u32, u32),
    /// When the final read began. Not there in a history of format 1.
    pub read_began: Option<u64>,
    /// The oldest stored sequence, by the final read.
    pub first: u32,
    /// The newest stored sequence, by the final read.
    pub head: u32,
    /// Whether the final read got everything; `None`: there was none.
    pub whole: Option<bool>,
    /// The newest event about this conversation (see `recent`).
    pub recent: u64,
}

/// How far the dense part may grow at once.
const LEAP: usize = 1 << 16;

impl Log {
    /// Somebody has seen a sequence, or was told of it.
    pub fn raise_floor(&mut self, sequence: u32, user: u32) {
        if sequence > self.floor.0 {
            self.floor = (sequence, user);
        }
    }

    /// What is known of a sequence.
    pub fn get(&self, sequence: u32) -> LogEntry {
        match self.entries.get(sequence as usize) {
            Some(entry) => *entry,
            None => self.far.get(&sequence).copied().unwrap_or_default(),
        }
    }

    /// The highest sequence of the dense part.
    pub fn reach(&self) -> u32 {
        (self.entries.len() as u32).saturating_sub(1)
    }

    /// Sequences far ahead of the rest.
    pub fn far(&self) -> impl Iterator<Item = u32> {
        self.far.keys().copied()
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, sequence: u32) -> &mut LogEntry {
        let at = sequence as usize;
        if at >= self.entries.len() {
            if at > self.entries.len() + LEAP {
                return self.far.entry(sequence).or_default();
            }
            let old = self.entries.len();
            self.entries.resize(at + 1, LogEntry::default());
            if !self.far.is_empty() {
                let far = self.far.split_off(&(old as u32));
                for (sequence, entry) in far {
                    if let Some(slot) = self.entries.get_mut(sequence as usize) {
                        *slot = entry;
                    } else {
                        self.far.insert(sequence, entry);
                    }
                }
            }
        }
        &mut self.entries[at]
    }

    /// From where on every entry is known by the final read; `None`: it did not get everything.
    pub fn known_from(&self) -> Option<u32> {
        (self.whole == Some(true)).then_some(self.first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leap_is_kept_aside_and_found_again() {
        let mut log = Log::default();
        log.get_mut(4_000_000_000).seen = 7;
        log.get_mut(100_000).seen = 8;
        log.get_mut(1).seen = 9;
        assert_eq!(log.entries.len(), 2);
        for to in [60_000, 110_000] {
            log.get_mut(to).seen = 1;
        }
        assert_eq!([1, 100_000, 4_000_000_000].map(|s| log.get(s).seen), [9, 8, 7]);
        assert!(log.entries.len() < 200_000);
    }
}
