//! One file: its two contents, and the changes between them.

use super::state::Losses;

/// Where a write can tear. Real disks write 512 bytes whole; nothing here may rely on it, and records
/// are shorter than that.
const SECTOR: u64 = 16;

/// A file, which lives as long as a name or a handle leads to it.
#[derive(Clone, Debug, Default)]
pub struct File {
    /// What the running process reads.
    pub cache: Vec<u8>,
    /// What is found after a power loss.
    pub durable: Vec<u8>,
    /// What was not forced, in order.
    pub unsynced: Vec<Change>,
}

/// A change of a file's content.
#[derive(Clone, Debug, Hash)]
pub enum Change {
    /// Bytes.
    Write {
        /// Where.
        offset: u64,
        /// Which.
        data: Vec<u8>,
    },
    /// Cut, or extended with zeros.
    SetLen(u64),
}

impl File {
    /// Changes what the process reads; what is needed to take it back.
    pub fn change(&mut self, change: &Change) -> Undo {
        let cache = &mut self.cache;
        let (start, end) = match change {
            Change::Write { offset, data } => (*offset as usize, *offset as usize + data.len()),
            Change::SetLen(len) => (*len as usize, cache.len()),
        };
        let start = start.min(cache.len());
        let undo = Undo {
            start,
            len: cache.len(),
            old: cache[start..end.clamp(start, cache.len())].into(),
        };
        change.apply(cache);
        undo
    }

    /// Makes the cache what it was.
    pub fn take_back(&mut self, undo: &Undo) {
        self.cache.resize(undo.len, 0);
        self.cache[undo.start..undo.start + undo.old.len()].copy_from_slice(&undo.old);
    }

    /// Everything so far is forced.
    pub fn sync(&mut self) {
        for change in self.unsynced.drain(..) {
            change.apply(&mut self.durable);
        }
    }

    /// What was not forced is kept, lost or torn.
    pub fn lose_power(&mut self, draw: super::Draw<'_>, losses: &mut Losses) {
        for change in std::mem::take(&mut self.unsynced) {
            match (draw(3), change) {
                (0, change) => change.apply(&mut self.durable),
                (2, Change::Write { offset, data }) if data.len() as u64 > SECTOR => {
                    losses.torn += 1;
                    for (offset, sector) in sectors(offset, &data) {
                        if draw(2) == 0 {
                            write(&mut self.durable, offset, sector);
                        }
                    }
                }
                _ => losses.lost += 1,
            }
        }
        self.cache = self.durable.clone();
    }
}

/// What a change of a cache has replaced.
#[derive(Debug)]
pub struct Undo {
    start: usize,
    len: usize,
    old: Vec<u8>,
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write { offset, data } => write(content, *offset, data),
            Self::SetLen(length) => content.resize(*length as usize, 0),
        }
    }
}

fn write(content: &mut Vec<u8>, offset: u64, data: &[u8]) {
    let (start, end) = (offset as usize, offset as usize + data.len());
    if content.len() < end {
        content.resize(end, 0);
    }
    content[start..end].copy_from_slice(data);
}

/// Splits a write at the borders of sectors.
fn sectors(offset: u64, data: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let (mut at, mut rest) = (offset, data);
    std::iter::from_fn(move || {
        let length = ((SECTOR - at % SECTOR) as usize).min(rest.len());
        let (piece, behind) = rest.split_at(length);
        let start = at;
        (at, rest) = (at + length as u64, behind);
        (!piece.is_empty()).then_some((start, piece))
    })
}
