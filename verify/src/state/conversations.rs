//! What is known of each conversation's log: a fingerprint per sequence and who said so.
//!
//! The beginning of a log leaves it when it is compacted (see `compaction`): of that a sum of fingerprints
//! stays. What may still change of it is kept aside.

use super::fingerprint::mix;
use super::intervals::Intervals;
use super::samples::Samples;
use crate::history::event::{Said, Seen};
use protocol::tight;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// One sequence of a log. Fingerprints; 0: nothing yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogEntry {
    /// As it was first seen on a device, in a read or in the store.
    pub seen: u32,
    /// As its author was told first.
    pub acked: u32,
    /// As it is in the store at the end.
    pub stored: u32,
    /// The user who caused it, by the first observation or answer; 0: not known.
    pub author: u32,
    /// When its author was told first. As long as nobody was: when it was seen first, or answered as a
    /// change of membership.
    pub known_at: u64,
    /// How long its author had waited for that since the invocation, in microseconds; `u32::MAX`: not
    /// known, or longer.
    pub waited_us: u32,
    /// Whether it was seen as two different entries.
    pub disputed: bool,
    /// Whether it is a message, as far as it was seen or told.
    pub is_message: bool,
    /// Whether it is a join or a departure, as far as it was seen or told.
    pub is_change: bool,
    /// How many deletions of it were sent, up to 2.
    pub deletions: u8,
}

impl LogEntry {
    /// Whether more than its fingerprint may be asked for once it is compacted: its sender was never
    /// told, or a change of membership was told that nobody has seen.
    pub const fn stays(&self) -> bool {
        (self.seen != 0 && self.acked == 0 && !self.is_change) || (self.seen == 0 && self.is_change)
    }

    /// Whether it was seen, or its author was told, or whoever asked for the change.
    pub const fn is_known(&self) -> bool {
        self.seen != 0 || self.acked != 0 || self.is_change
    }

    /// How it became known, for people.
    pub const fn known_as(&self) -> &'static str {
        if self.acked != 0 { "accepted" } else { "seen first or answered" }
    }

    /// When it was invoked, if that is known.
    pub fn sent_at(&self) -> Option<u64> {
        (self.acked != 0 && self.waited_us != u32::MAX)
            .then(|| self.known_at.saturating_sub(u64::from(self.waited_us)))
    }
}

/// One conversation.
#[derive(Debug, Default)]
pub(crate) struct Log {
    entries: Vec<LogEntry>,
    /// The sequence of the first of them. What is below it is compacted.
    offset: u32,
    /// Sequences far ahead of the rest (only a broken cluster makes them, and they must not make the
    /// dense part huge), and those that are kept of the compacted ones.
    far: BTreeMap<u32, LogEntry>,
    /// What is left of the compacted ones.
    pub compacted: Compacted,
    /// How much further the dense parts of all logs may leap.
    leaps: Arc<AtomicU32>,
    /// Deletions that were sent of what is beyond the dense part.
    deleted_ahead: BTreeMap<u32, u8>,
    /// How many entries there must be before it is worth a try to compact some.
    pub compact_from: usize,
    /// Whether the final read of it has begun, by whatever sign. From then on nothing is compacted.
    pub is_read: bool,
    /// The highest sequence that was accepted, answered or seen.
    pub known_head: u32,
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

/// What is left of the compacted entries of a log, and what the final read found at their sequences.
#[derive(Debug, Default)]
pub(crate) struct Compacted {
    /// How many of them are sends; all of these were accepted.
    pub sends: u64,
    seen: Sums,
    /// What some of them were.
    pub samples: Samples,
    /// Their sequences in the final read.
    pub stored: Intervals,
    found: Sums,
}

/// Sums over (sequence, fingerprint): equal for equal entries, whatever their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sums {
    sends: u64,
    changes: u64,
}

impl Sums {
    const fn add(&mut self, sequence: u32, fingerprint: u32, is_change: bool) {
        let sum = if is_change { &mut self.changes } else { &mut self.sends };
        *sum = sum.wrapping_add(mix(((sequence as u64) << 32) | fingerprint as u64));
    }
}

impl Compacted {
    /// Whether the final read has every compacted send where it was, as it was.
    pub const fn has_sends(&self) -> bool {
        self.seen.sends == self.found.sends
    }

    /// Whether the final read has everything compacted where it was, as it was.
    pub fn has_all(&self) -> bool {
        self.seen == self.found
    }
}

/// How far the dense part may grow at once.
const LEAP: usize = 1 << 16;
/// So little that it costs less than the event that leaps.
const STEP: usize = 16;
/// How far the dense parts of all logs may leap together: 128 MiB.
pub(crate) const LEAPS: u32 = 1 << 22;

impl Log {
    /// A log that shares what is left of this with others.
    pub fn new(leaps: &Arc<AtomicU32>) -> Self {
        Self { leaps: Arc::clone(leaps), ..Self::default() }
    }

    /// Whether the dense part may leap over so many sequences that nobody has named.
    fn may_leap(&self, over: usize) -> bool {
        let take = |left: u32| left.checked_sub(over as u32);
        over <= STEP
            || (over <= LEAP
                && self.leaps.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok())
    }

    /// Somebody has seen a sequence, or was told of it.
    pub fn raise_floor(&mut self, sequence: u32, user: u32) {
        if sequence > self.floor.0 {
            self.floor = (sequence, user);
        }
    }

    /// What is known of a sequence.
    pub fn get(&self, sequence: u32) -> LogEntry {
        match self.entries.get(sequence.wrapping_sub(self.offset) as usize) {
            Some(entry) => *entry,
            None => self.far.get(&sequence).copied().unwrap_or_default(),
        }
    }

    /// The highest sequence of the dense part.
    pub fn reach(&self) -> u32 {
        (self.offset + self.entries.len() as u32).saturating_sub(1)
    }

    /// How many entries are kept.
    pub const fn live(&self) -> usize {
        self.entries.len()
    }

    /// Up to where the log is compacted.
    pub const fn compacted_to(&self) -> u32 {
        self.offset.saturating_sub(1)
    }

    /// Whether a sequence is compacted, and nothing of its own is left.
    pub fn is_compacted(&self, sequence: u32) -> bool {
        sequence < self.offset && sequence > 0 && !self.far.contains_key(&sequence)
    }

    /// How many sequences of a span are compacted.
    pub fn compacted_in(&self, low: u32, high: u32) -> u64 {
        let (low, high) = (low.max(1), high.min(self.compacted_to()));
        if low > high {
            return 0;
        }
        let kept = self.far.range(low..=high).count() as u64;
        u64::from(high - low) + 1 - kept
    }

    /// The entries up to a sequence are compacted.
    pub fn compact(&mut self, to: u32) {
        let count = (to + 1 - self.offset) as usize;
        for (sequence, entry) in (self.offset..).zip(self.entries.drain(..count)) {
            if entry.stays() {
                self.far.insert(sequence, entry);
            } else if sequence > 0 {
                self.compacted.sends += u64::from(!entry.is_change);
                self.compacted.seen.add(sequence, entry.seen, entry.is_change);
                self.compacted.samples.add(sequence, entry.seen);
            }
        }
        self.offset = to + 1;
    }

    /// Notes an entry as it was seen, on a device, in a read or in the store; false: it is compacted.
    pub fn see(
        &mut self,
        at: u32,
        fingerprint: u32,
        entry: &Seen,
        is_stored: bool,
        now: u64,
    ) -> bool {
        self.is_read |= is_stored;
        self.known_head = self.known_head.max(at);
        let is_change = matches!(entry.said, Said::Join { .. } | Said::Leave { .. });
        let Some(logged) = self.open_mut(at) else {
            if is_stored {
                self.found(at, fingerprint, is_change);
            }
            return false;
        };
        if !logged.is_known() {
            logged.known_at = now;
        }
        if logged.seen == 0 {
            logged.seen = fingerprint;
        }
        logged.disputed |= logged.seen != fingerprint;
        logged.is_message |= matches!(entry.said, Said::Message { .. });
        logged.is_change |= is_change;
        if logged.author == 0 {
            logged.author = entry.author.0 as u32;
        }
        if is_stored && logged.stored == 0 {
            logged.stored = fingerprint;
        }
        true
    }

    /// The final read has an entry at a compacted sequence. Only the first one of a sequence counts.
    fn found(&mut self, sequence: u32, fingerprint: u32, is_change: bool) {
        if !self.compacted.stored.contains(sequence) {
            self.compacted.stored.insert(sequence);
            self.compacted.found.add(sequence, fingerprint, is_change);
        }
    }

    /// A join or a departure is answered.
    pub fn answer_change(&mut self, at: u32, now: u64) {
        self.known_head = self.known_head.max(at);
        if let Some(entry) = self.open_mut(at) {
            if !entry.is_known() {
                entry.known_at = now;
            }
            entry.is_change = true;
        }
    }

    /// What is known of a sequence, to be changed; `None`: it is compacted.
    pub fn open_mut(&mut self, sequence: u32) -> Option<&mut LogEntry> {
        if self.is_compacted(sequence) { None } else { Some(self.get_mut(sequence)) }
    }

    /// A deletion of a sequence is sent. What is compacted is not asked for any more.
    pub fn delete(&mut self, sequence: u32) {
        let is_ahead = sequence > self.reach() && !self.far.contains_key(&sequence);
        let deletions = if is_ahead || self.entries.is_empty() {
            self.deleted_ahead.entry(sequence).or_default()
        } else if let Some(entry) = self.open_mut(sequence) {
            &mut entry.deletions
        } else {
            return;
        };
        *deletions = (*deletions + 1).min(2);
    }

    /// How many deletions of a sequence were sent, up to 2.
    pub fn deletions(&self, sequence: u32) -> u8 {
        let ahead = self.deleted_ahead.get(&sequence).copied().unwrap_or(0);
        self.get(sequence).deletions.saturating_add(ahead)
    }

    /// Sequences far ahead of the rest.
    pub fn far(&self) -> impl Iterator<Item = u32> {
        self.far.keys().copied()
    }

    /// How many sequences behind one, up to another one, are stored and lie aside of the dense part.
    pub fn stored_aside(&self, behind: u32, to: u32) -> u64 {
        let aside = self.far.range(behind.saturating_add(1)..=to.max(behind.saturating_add(1)));
        aside.filter(|(_, entry)| entry.stored != 0).count() as u64
    }

    fn get_mut(&mut self, sequence: u32) -> &mut LogEntry {
        // What is kept of the compacted ones wraps around, far ahead.
        let at = sequence.wrapping_sub(self.offset) as usize;
        if at >= self.entries.len() {
            if !self.may_leap(at - self.entries.len()) {
                return self.far.entry(sequence).or_default();
            }
            let old = self.offset + self.entries.len() as u32;
            tight::reserve(&mut self.entries, at + 1);
            self.entries.resize(at + 1, LogEntry::default());
            if !self.far.is_empty() {
                let far = self.far.split_off(&old);
                for (sequence, entry) in far {
                    let at = sequence.wrapping_sub(self.offset) as usize;
                    if let Some(slot) = self.entries.get_mut(at) {
                        *slot = entry;
                    } else {
                        self.far.insert(sequence, entry);
                    }
                }
            }
        }
        &mut self.entries[at]
    }

    /// From where on every entry up to a sequence is known by the final read; `None`: it did not get
    /// everything, or the sequence was given out behind it.
    pub fn known_from(&self, sequence: u32) -> Option<u32> {
        (self.whole == Some(true) && sequence <= self.head).then_some(self.first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leap_is_kept_aside_and_found_again() {
        let mut log = Log::new(&Arc::new(AtomicU32::new(LEAPS)));
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

    #[test]
    fn leaps_have_an_end_and_what_follows_is_found_all_the_same() {
        let leaps = Arc::new(AtomicU32::new(LEAPS));
        let mut logs = [Log::new(&leaps), Log::new(&leaps)];
        for nth in 1..=600_u32 {
            logs[nth as usize % 2].get_mut(nth * 30_000).seen = nth;
        }
        let dense: usize = logs.iter().map(|log| log.entries.len()).sum();
        assert!(dense <= LEAPS as usize + 600, "{dense}");
        assert!((1..=600).all(|nth| logs[nth as usize % 2].get(nth * 30_000).seen == nth));
    }
}
