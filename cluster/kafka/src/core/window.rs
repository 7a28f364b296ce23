//! What of a partition is handed out, settled and waiting.
//!
//! Kafka commits one offset for a partition: everything before it is done. Jobs are settled one by one, so
//! what is settled behind the first unsettled one has to be said beside the offset; the commit's metadata
//! carries it (`claim`).

use std::collections::BTreeSet;
use std::ops::Range;

/// How far a partition has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Nobody has been handed anything from here on, as far as this says.
    pub next: u64,
    /// What is not settled before that, in its order.
    pub open: Vec<Range<u64>>,
}

impl Progress {
    /// At the beginning of what is at `offset`.
    pub const fn at(offset: u64) -> Self {
        Self { next: offset, open: Vec::new() }
    }

    /// The offset to commit: everything before it is settled.
    pub fn base(&self) -> u64 {
        self.open.first().map_or(self.next, |first| first.start)
    }

    /// How many wait, in somebody's hands or not, if the partition ends at `end`.
    pub fn waiting(&self, end: u64) -> u64 {
        let open: u64 = self.open.iter().map(|run| run.end - run.start).sum();
        end.saturating_sub(self.next) + open
    }

    fn is_settled(&self, offset: u64) -> bool {
        offset < self.next && !self.open.iter().any(|run| run.contains(&offset))
    }

    /// How many of these are not settled.
    fn unsettled_in(&self, range: Range<u64>) -> u64 {
        range.filter(|offset| !self.is_settled(*offset)).count() as u64
    }
}

/// What becomes of a message that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// It was settled before.
    Settled,
    /// It gives way: too many newer ones wait.
    GivesWay,
    /// It is handed out.
    HandOut {
        /// Whether it may have been handed out before.
        redelivered: bool,
    },
}

/// What one consumer of a partition has in hand.
#[derive(Clone, Debug)]
pub struct Window {
    resumed: Progress,
    /// From here on nothing was handed out before.
    mark: u64,
    prefetch: usize,
    next: u64,
    held: BTreeSet<u64>,
}

impl Window {
    /// Goes on where an earlier consumer was, which handed nothing out from `mark` on.
    pub fn resume(resumed: Progress, mark: u64, prefetch: u32) -> Self {
        let next = resumed.base();
        Self { resumed, mark, prefetch: prefetch.max(1) as usize, next, held: BTreeSet::new() }
    }

    /// The offset to be read next.
    pub const fn next(&self) -> u64 {
        self.next
    }

    /// From here on an earlier consumer handed nothing out.
    pub const fn mark(&self) -> u64 {
        self.mark
    }

    /// How many more may be handed out.
    pub fn room(&self) -> usize {
        self.prefetch.saturating_sub(self.held.len())
    }

    /// Kafka has nothing before `offset` any more: how many unsettled ones are gone.
    pub fn skip_to(&mut self, offset: u64) -> u64 {
        if offset <= self.next {
            return 0;
        }
        let gone = self.resumed.unsettled_in(self.next..offset);
        self.next = offset;
        gone
    }

    /// How many wait from here on, if the partition ends at `end`: a newer one that was settled does not.
    pub fn waiting_from(&self, offset: u64, end: u64) -> u64 {
        let rest = |run: &Range<u64>| run.end.saturating_sub(run.start.max(offset));
        let open: u64 = self.resumed.open.iter().map(rest).sum();
        end.saturating_sub(self.resumed.next.max(offset)) + open
    }

    /// A message was read, the next one; it may have to give way.
    pub fn read(&mut self, offset: u64, gives_way: bool) -> Read {
        self.next = offset + 1;
        if self.resumed.is_settled(offset) {
            Read::Settled
        } else if gives_way {
            Read::GivesWay
        } else {
            self.held.insert(offset);
            Read::HandOut { redelivered: offset < self.mark }
        }
    }

    /// Everything in hand up to this one is settled; whether that changes anything.
    pub fn settle_through(&mut self, offset: u64) -> bool {
        let before = self.held.len();
        self.held = match offset.checked_add(1) {
            Some(later) => self.held.split_off(&later),
            None => BTreeSet::new(),
        };
        self.held.len() < before
    }

    /// This one is settled; false if it is not in hand.
    pub fn settle(&mut self, offset: u64) -> bool {
        self.held.remove(&offset)
    }

    /// What to commit.
    pub fn progress(&self) -> Progress {
        let mut open: Vec<Range<u64>> = Vec::new();
        let mut add = |run: Range<u64>| match open.last_mut() {
            Some(last) if last.end == run.start => last.end = run.end,
            _ => open.push(run),
        };
        for offset in &self.held {
            add(*offset..offset + 1);
        }
        for run in &self.resumed.open {
            let rest = run.start.max(self.next)..run.end;
            if !rest.is_empty() {
                add(rest);
            }
        }
        Progress { next: self.next.max(self.resumed.next), open }
    }
}

#[cfg(test)]
#[path = "window_tests.rs"]
mod tests;
