//! Reads that are under way: what the reader knew when it asked, and what has come.

use super::intervals::Intervals;

/// A read that has been asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct FinishedRead {
    pub request: u32,
    /// When it was asked for.
    pub began_at: u64,
    /// Index of the conversation.
    pub conversation: u32,
    pub after: u32,
    /// The highest sequence that the user knew of when it asked.
    pub floor: u32,
    /// The highest own accepted sequence when it asked.
    pub own: u32,
    /// Own sends that were accepted since: nothing is promised for these.
    pub accepted_since: Vec<u32>,
    /// Sequences in the answer.
    pub entries: Intervals,
    /// The highest of them.
    pub last: u32,
    /// The first of them.
    pub first: u32,
    /// The first of them that does not lie behind `after` and behind the one before; 0: there is none.
    pub unsorted: u32,
}

impl FinishedRead {
    /// The highest sequence that the answer speaks about: up to there, what is missing is missing.
    pub fn covers(&self, head: u32, whole: bool) -> u32 {
        if whole { self.last.max(head) } else { self.last }
    }

    /// An entry of the answer.
    pub fn take(&mut self, sequence: u32) {
        if self.unsorted == 0 && (sequence <= self.after || sequence <= self.last) {
            self.unsorted = sequence.max(1);
        }
        if self.entries.is_empty() {
            self.first = sequence;
        }
        self.entries.insert(sequence);
        self.last = self.last.max(sequence);
    }
}

/// All reads under way, by device.
#[derive(Default)]
pub(crate) struct Reads {
    open: Vec<Vec<FinishedRead>>,
}

/// A device has one or two reads under way; a client that asks without end is forgotten about.
const MOST_OPEN: usize = 64;

impl Reads {
    pub fn new(devices: usize) -> Self {
        Self { open: vec![Vec::new(); devices] }
    }

    /// Takes over those of another part.
    pub fn merge(&mut self, other: Self) {
        for (mine, theirs) in self.open.iter_mut().zip(other.open) {
            mine.extend(theirs);
        }
    }

    pub fn begin(&mut self, device: usize, read: FinishedRead) {
        let open = &mut self.open[device];
        open.retain(|other| other.request != read.request);
        if open.len() == MOST_OPEN {
            open.remove(0);
        }
        open.push(read);
    }

    pub fn get(&mut self, device: usize, request: u32) -> Option<&mut FinishedRead> {
        self.open[device].iter_mut().find(|read| read.request == request)
    }

    pub fn end(&mut self, device: usize, request: u32) -> Option<Box<FinishedRead>> {
        let at = self.open[device].iter().position(|read| read.request == request)?;
        Some(Box::new(self.open[device].remove(at)))
    }

    /// When the reads of a device that have no answer yet were asked for.
    pub fn waiting(&self, device: usize) -> impl Iterator<Item = u64> + '_ {
        self.open[device].iter().map(|read| read.began_at)
    }

    /// An own send of the device's user was accepted.
    pub fn accepted(&mut self, device: usize, conversation: u32, sequence: u32) {
        for read in &mut self.open[device] {
            if read.conversation == conversation {
                read.accepted_since.push(sequence);
            }
        }
    }

    /// The session is gone, and with it the answers.
    pub fn forget(&mut self, device: usize) {
        self.open[device].clear();
    }
}
