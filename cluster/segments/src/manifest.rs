//! Which segments a log has, and how much of the newest one is durable: `<prefix>.manifest`.
//!
//! Two slots take turns, each written and synced before anything relies on it, so that one of them is
//! always whole. The mark behind them is written after each sync of a segment and is not synced
//! itself: it never says more than is true, and whatever reaches the disk of it is evidence.

use super::Format;
use ports::{Disk, DiskFile};
use std::io;

/// The offsets of the slots; pages apart, so that no damaged page takes both.
const SLOTS: [u64; 2] = [0, 4096];
/// The offset of the mark.
const MARK: u64 = 8192;
/// Magic, turn, oldest, newest, forced from, checksum.
const SLOT: usize = 8 + 8 + 4 + 4 + 4 + 4;
/// Segment, length, checksum.
const MARK_BYTES: usize = 4 + 8 + 4;

/// What a manifest says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    /// Segments before this one are not needed.
    pub oldest: u32,
    /// All segments from `oldest` to this one exist; 0 if there was none yet.
    pub newest: u32,
    /// From this segment on everything was forced. Of what was not, nothing can be known after a power
    /// loss.
    pub forced_from: u32,
    turn: u64,
}

impl Said {
    /// Of a log without segments.
    pub const NEW: Self = Self { oldest: 1, newest: 0, forced_from: NEVER, turn: 0 };

    /// Whether everything in a segment was forced.
    pub const fn is_forced(&self, segment: u32) -> bool {
        segment >= self.forced_from
    }
}

/// Segments that are not forced have smaller numbers.
pub const NEVER: u32 = u32::MAX;

/// An open manifest.
pub struct Manifest {
    file: Box<dyn DiskFile>,
    magic: [u8; 8],
    said: Said,
}

/// What was found under the manifest's name.
pub enum Found {
    /// Nothing, or one of which nothing was ever relied on.
    Nothing,
    /// No slot is whole.
    Damaged,
    /// What it says, and the mark: a segment and its durable length.
    Whole(Said, Option<(u32, u64)>),
}

impl Manifest {
    /// Reads the manifest, if the disk has one.
    pub fn read(disk: &dyn Disk, format: Format, names: &[String]) -> io::Result<Found> {
        let name = format.manifest();
        if !names.contains(&name) {
            return Ok(Found::Nothing);
        }
        let file = disk.open(&name)?;
        let mut bytes = vec![0; (MARK as usize + MARK_BYTES).min(file.len()? as usize)];
        file.read_at(0, &mut bytes)?;
        bytes.resize(MARK as usize + MARK_BYTES, 0);
        let slots = SLOTS.map(|at| slot(&bytes[at as usize..][..SLOT], format.magic));
        let Some(said) = slots.into_iter().flatten().max_by_key(|said| said.turn) else {
            return Ok(Found::Damaged);
        };
        let mark = &bytes[MARK as usize..];
        let (fields, checksum) = mark.split_at(MARK_BYTES - 4);
        let whole = crc32fast::hash(fields).to_le_bytes() == *checksum;
        let mark = whole.then(|| {
            let (segment, length) = fields.split_at(4);
            (
                u32::from_le_bytes(segment.try_into().expect("4 bytes")),
                u64::from_le_bytes(length.try_into().expect("8 bytes")),
            )
        });
        Ok(Found::Whole(said, mark))
    }

    /// Opens the file to say something else.
    pub fn open(disk: &dyn Disk, format: Format, said: Said) -> io::Result<Self> {
        let file = disk.open(&format.manifest())?;
        // A killed process may have left it in the page cache only, and the other slot is written next.
        file.sync_data()?;
        Ok(Self { file, magic: format.magic, said })
    }

    /// What it says now.
    pub const fn said(&self) -> Said {
        self.said
    }

    /// Says which segments there are; durable on `Ok`, also in a log that forces nothing else.
    pub fn say(&mut self, oldest: u32, newest: u32, forced_from: u32) -> io::Result<()> {
        let said = Said { oldest, newest, forced_from, turn: self.said.turn + 1 };
        let mut bytes = Vec::with_capacity(SLOT);
        bytes.extend_from_slice(&self.magic);
        bytes.extend_from_slice(&said.turn.to_le_bytes());
        for word in [oldest, newest, forced_from] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
        self.file.write_at(SLOTS[(said.turn % 2) as usize], &bytes)?;
        self.file.sync_data()?;
        self.said = said;
        Ok(())
    }

    /// Notes how much of a segment is durable.
    pub fn mark(&self, segment: u32, length: u64) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(MARK_BYTES);
        bytes.extend_from_slice(&segment.to_le_bytes());
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
        self.file.write_at(MARK, &bytes)
    }
}

fn slot(bytes: &[u8], magic: [u8; 8]) -> Option<Said> {
    let (fields, checksum) = bytes.split_at(SLOT - 4);
    if fields[..8] != magic || crc32fast::hash(fields).to_le_bytes() != *checksum {
        return None;
    }
    let word = |at: usize| u32::from_le_bytes(fields[at..at + 4].try_into().expect("4 bytes"));
    let turn = u64::from_le_bytes(fields[8..16].try_into().expect("8 bytes"));
    Some(Said { oldest: word(16), newest: word(20), forced_from: word(24), turn })
}
