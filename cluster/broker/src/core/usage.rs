//! How much of each log segment is still needed, and which segments to give up next.
//!
//! Segments are given up from the oldest only: a record that settles a message may lie in a later
//! segment than the message, and must not go before it. What is still needed of them is written
//! again at the end of the log first, so a slow queue cannot pin the whole log: it stays below
//! `2 * live + 5 * segment_bytes`, plus one group commit, as soon as the writer has caught up.
//!
//! That rewriting ends rests on the weights: what is written for a message (or letter) is less than
//! twice its weight, so a log of nothing but live messages is never too long.

use ports::broker::Queue;
use std::collections::BTreeMap;

/// What a message is there for. Each kind has bounds of its own, so that none takes the room of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What gateways ask the owners.
    Inbound,
    /// Jobs of the notifiers.
    Jobs,
    /// What could not be processed.
    DeadLetters,
}

impl From<Queue> for Kind {
    /// A gateway's queue is in memory only, and never asked about.
    fn from(queue: Queue) -> Self {
        match queue {
            Queue::Inbound(_) | Queue::Gateway(_) => Self::Inbound,
            Queue::Jobs(_) => Self::Jobs,
            Queue::DeadLetters => Self::DeadLetters,
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Segment {
    bytes: u64,
    live: u64,
}

/// The accounts of all segments.
#[derive(Debug)]
pub struct Usage {
    segments: BTreeMap<u32, Segment>,
    segment_bytes: u64,
    total: u64,
    live: u64,
    /// By kind: what is held, and what is about to be.
    held: [u64; 3],
}

impl Usage {
    /// Nothing yet; segments are closed at about this size.
    pub fn new(segment_bytes: u64) -> Self {
        Self { segments: BTreeMap::new(), segment_bytes, total: 0, live: 0, held: [0; 3] }
    }

    /// A segment has this length now.
    pub fn set_length(&mut self, segment: u32, bytes: u64) {
        let account = self.segments.entry(segment).or_default();
        self.total = self.total - account.bytes + bytes;
        account.bytes = bytes;
    }

    /// A message of this weight is to be written.
    pub fn propose(&mut self, kind: Kind, weight: u64) {
        self.held[kind as usize] += weight;
    }

    /// It is about to be added, or given up.
    pub fn unpropose(&mut self, kind: Kind, weight: u64) {
        self.held[kind as usize] -= weight;
    }

    /// What messages of a kind weigh, with those that are to be written.
    pub fn held(&self, kind: Kind) -> u64 {
        self.held[kind as usize]
    }

    /// What all messages weigh, with those that are to be written.
    pub fn held_by_all(&self) -> u64 {
        self.held.iter().sum()
    }

    /// A message of this weight needs the segment.
    pub fn add(&mut self, kind: Kind, segment: u32, weight: u64) {
        self.held[kind as usize] += weight;
        if segment != 0 {
            self.segments.entry(segment).or_default().live += weight;
            self.live += weight;
        }
    }

    /// It does not any more.
    pub fn remove(&mut self, kind: Kind, segment: u32, weight: u64) {
        self.held[kind as usize] -= weight;
        if let Some(account) = self.segments.get_mut(&segment) {
            let (live, total) = (account.live, self.live);
            assert!(
                weight <= live && live <= total,
                "segment {segment} gives up {weight} of {live} live bytes, of {total} in all"
            );
            account.live -= weight;
            self.live -= weight;
        }
    }

    /// Everything needed of the segments up to `through` lies in `now` from now on.
    pub fn relocate(&mut self, through: u32, now: u32) {
        let kept = self.segments.split_off(&(through + 1));
        let gone = std::mem::replace(&mut self.segments, kept);
        let live = gone.values().map(|account| account.live).sum::<u64>();
        self.total -= gone.values().map(|account| account.bytes).sum::<u64>();
        self.segments.entry(now).or_default().live += live;
    }

    /// The last of the segments to give up now; the newest stays.
    pub fn worth_compacting(&self) -> Option<u32> {
        let (newest, _) = self.segments.last_key_value()?;
        let oldest_is_dead = self.segments.values().next().is_some_and(|oldest| oldest.live == 0);
        let too_long = self.total > 2 * self.live + 4 * self.segment_bytes;
        if !oldest_is_dead && !too_long {
            return None;
        }
        let mut rewritten = 0;
        let mut through = None;
        for (number, account) in &self.segments {
            rewritten += account.live;
            if number == newest || (through.is_some() && rewritten > self.segment_bytes) {
                break;
            }
            through = Some(*number);
        }
        through
    }

    /// The newest segment.
    pub fn newest(&self) -> Option<u32> {
        self.segments.last_key_value().map(|(number, _)| *number)
    }

    /// Bytes of all segments.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Bytes of all messages in them.
    #[cfg(test)]
    pub fn live(&self) -> u64 {
        self.live
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_segment_is_never_given_up() {
        let mut usage = Usage::new(100);
        usage.set_length(1, 100);
        assert_eq!(usage.worth_compacting(), None);
    }

    #[test]
    fn dead_segments_are_given_up_from_the_oldest() {
        let mut usage = Usage::new(100);
        for segment in 1..=4 {
            usage.set_length(segment, 100);
        }
        usage.add(Kind::Inbound, 3, 90);
        usage.add(Kind::Jobs, 4, 90);
        assert_eq!(usage.worth_compacting(), Some(3));
        usage.add(Kind::Inbound, 2, 90);
        assert_eq!(usage.worth_compacting(), Some(2));
        usage.add(Kind::Inbound, 1, 90);
        assert_eq!(usage.worth_compacting(), None);
    }

    #[test]
    fn a_remnant_does_not_pin_the_log() {
        let mut usage = Usage::new(100);
        usage.add(Kind::Inbound, 1, 10);
        for segment in 1..=8 {
            usage.set_length(segment, 100);
        }
        assert_eq!(usage.worth_compacting(), Some(7));
        usage.relocate(7, 8);
        assert_eq!((usage.total(), usage.live()), (100, 10));
        usage.remove(Kind::Inbound, 8, 10);
        assert_eq!(usage.live(), 0);
    }
}
