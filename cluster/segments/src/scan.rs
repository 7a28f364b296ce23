//! Reads a log without changing it, and says how it ends.

use super::manifest::{Found, Manifest, Said};
use super::{Format, frame};
use ports::disk::is_full;
use ports::{Disk, DiskFile};
use serde::de::DeserializeOwned;
use std::fmt;
use std::io;

/// Magic, number, length of the segment before, checksum.
pub const HEADER: usize = 8 + 4 + 8 + 4;

/// What to do about damaged data.
pub const ADVICE: &str =
    "restore the data folder from a copy, or move it away to start without its data";

/// Why a log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The disk refused.
    #[error("the disk refused at {file}")]
    Disk {
        /// The file, or `.` for the directory.
        file: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The data was written by another version of the format. It is left as it is.
    #[error(
        "{file} has version {found} of its format, and this build reads version {reads}: start the build \
         that wrote it"
    )]
    Version {
        /// The file.
        file: String,
        /// The version that was found.
        found: char,
        /// The version that can be read.
        reads: char,
    },
    /// Something that was durable is no longer readable. Nothing on the disk was changed.
    #[error("{file} is damaged at byte {offset}: {why}; nothing was changed: {ADVICE}")]
    Damaged {
        /// The file.
        file: String,
        /// Where the first thing stands that is not as it was written.
        offset: u64,
        /// What says that it was something else.
        why: String,
    },
}

impl LogError {
    /// Whether the disk had no room: that passes.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Disk { source, .. } if is_full(source))
    }
}

impl LogError {
    /// Whether data is damaged: otherwise it could not be read, which says nothing of it.
    pub const fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. })
    }
}

/// A log as it is on the disk.
pub struct Scanned {
    /// What the manifest says; `None` if there is no log yet.
    pub said: Option<Said>,
    /// The segments that are needed, oldest first.
    pub segments: Vec<Whole>,
    /// Segments that were given up, and are there still.
    pub leftover: Vec<u32>,
}

/// A segment that was read.
pub struct Whole {
    pub number: u32,
    pub file: Box<dyn DiskFile>,
    /// Its valid bytes.
    pub length: u64,
    /// Bytes behind them: of a write that was never durable.
    pub torn: u64,
    pub chain: u32,
}

/// What an offline check found sound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Segments, the last perhaps in part.
    pub segments: usize,
    /// Records in them.
    pub records: u64,
    /// Bytes of the segments, if all are sound.
    pub bytes: u64,
    /// Bytes of a write at the end that was never durable.
    pub torn: u64,
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { segments, records, bytes, torn } = self;
        write!(f, "{segments} segments, {records} records")?;
        if *bytes > 0 {
            write!(f, ", {bytes} bytes")?;
        }
        if *torn > 0 {
            write!(f, ", and {torn} bytes of a write that was never durable")?;
        }
        Ok(())
    }
}

/// Reads a log from its beginning to its end, and changes nothing: what is sound, and what a start would
/// say.
pub fn check<R: DeserializeOwned>(
    disk: &dyn Disk,
    format: Format,
) -> (Checked, Result<(), LogError>) {
    let (mut sound, mut last) = (Checked::default(), None);
    let scanned = scan(disk, format, |_: R, segment| {
        sound.records += 1;
        sound.segments += usize::from(last.replace(segment) != Some(segment));
    });
    match scanned {
        Ok(scanned) => {
            sound.segments = scanned.segments.len();
            for segment in scanned.segments {
                sound.bytes += segment.length;
                sound.torn += segment.torn;
            }
            (sound, Ok(()))
        }
        Err(error) => (sound, Err(error)),
    }
}

/// Reads a log. Each record is given to `replay` with the number of its segment, in the order in which
/// they were appended.
pub fn scan<R: DeserializeOwned>(
    disk: &dyn Disk,
    format: Format,
    mut replay: impl FnMut(R, u32),
) -> Result<Scanned, LogError> {
    let directory = |source| LogError::Disk { file: ".".to_owned(), source };
    let names = disk.list().map_err(directory)?;
    let mut numbers: Vec<u32> = names.iter().filter_map(|name| format.number_of(name)).collect();
    numbers.sort_unstable();
    let manifest = format.manifest();
    let read = Manifest::read(disk, format, &names)
        .map_err(|source| LogError::Disk { file: manifest.clone(), source })?;
    let (said, mark) = match read {
        Found::Whole(said, mark) => (said, mark),
        Found::Nothing | Found::Damaged if numbers.is_empty() => {
            return Ok(Scanned { said: None, segments: Vec::new(), leftover: Vec::new() });
        }
        found => {
            for number in &numbers {
                read_segment(disk, format, *number)?.version(format)?;
            }
            let why =
                if matches!(found, Found::Nothing) { "it is missing" } else { "it is unreadable" };
            return Err(LogError::Damaged { file: manifest, offset: 0, why: why.to_owned() });
        }
    };
    let leftover: Vec<u32> = numbers.iter().copied().filter(|n| *n < said.oldest).collect();
    let numbers = needed(disk, format, said, numbers)?;
    let mut segments: Vec<Whole> = Vec::new();
    for number in numbers {
        let raw = read_segment(disk, format, number)?;
        raw.version(format)?;
        let before = raw.before(format);
        let forced = said.is_forced(number);
        match (before, segments.last()) {
            (None, _) if forced => {
                return Err(raw.damaged(format, 0, "its header is not as it was written"));
            }
            (Some(length), Some(last)) if said.is_forced(last.number) => {
                last.is_complete(format, length)?;
            }
            _ => {}
        }
        let marked = mark.filter(|(segment, _)| *segment == number).map_or(0, |(_, length)| length);
        segments.push(raw.replay(format, forced.then_some(marked), &mut replay)?);
    }
    Ok(Scanned { said: Some(said), segments, leftover })
}

/// Which segments must be read: all that the manifest knows, and one that was made just before it
/// could say so.
fn needed(
    disk: &dyn Disk,
    format: Format,
    said: Said,
    present: Vec<u32>,
) -> Result<Vec<u32>, LogError> {
    let mut needed = Vec::new();
    for number in said.oldest..=said.newest {
        if present.contains(&number) {
            needed.push(number);
        } else if said.is_forced(number) {
            let why = format!(
                "it is missing; the log has the segments {} to {}",
                said.oldest, said.newest
            );
            return Err(LogError::Damaged { file: format.segment(number), offset: 0, why });
        }
    }
    for number in present.into_iter().filter(|number| *number > said.newest) {
        let raw = read_segment(disk, format, number)?;
        if raw.before(format).is_some() {
            needed.push(number);
        } else if said.is_forced(number) && raw.bytes.len() > HEADER {
            return Err(raw.damaged(format, 0, "its header is not as it was written"));
        }
    }
    Ok(needed)
}

/// What a disk has of a log, by the names of its files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Nothing.
    Absent,
    /// One that was made, and never written to.
    Unused,
    /// One with segments.
    Used,
}

impl Format {
    /// What a disk has of such a log.
    ///
    /// # Errors
    /// The disk refused.
    pub fn presence(&self, disk: &dyn Disk) -> io::Result<Presence> {
        let names = disk.list()?;
        if names.iter().any(|name| self.number_of(name).is_some()) {
            return Ok(Presence::Used);
        }
        let is_made = names.contains(&self.manifest());
        Ok(if is_made { Presence::Unused } else { Presence::Absent })
    }
}

/// The header of a segment behind one of this length.
pub fn header(format: Format, number: u32, before: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER);
    bytes.extend_from_slice(&format.magic);
    bytes.extend_from_slice(&number.to_le_bytes());
    bytes.extend_from_slice(&before.to_le_bytes());
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
    bytes
}

/// A segment's bytes.
struct Raw {
    number: u32,
    file: Box<dyn DiskFile>,
    bytes: Vec<u8>,
}

fn read_segment(disk: &dyn Disk, format: Format, number: u32) -> Result<Raw, LogError> {
    let name = format.segment(number);
    let read = || {
        let file = disk.open(&name)?;
        let mut bytes = vec![0; usize::try_from(file.len()?).map_err(io::Error::other)?];
        file.read_at(0, &mut bytes)?;
        Ok(Raw { number, file, bytes })
    };
    read().map_err(|source| LogError::Disk { file: name.clone(), source })
}

impl Raw {
    /// Refuses another version of the format.
    fn version(&self, format: Format) -> Result<(), LogError> {
        let ([family @ .., reads], Some([found @ .., version])) =
            (format.magic, self.bytes.first_chunk::<8>())
        else {
            return Ok(());
        };
        if family == *found && reads != *version && version.is_ascii_digit() {
            let (found, reads) = (char::from(*version), char::from(reads));
            let file = format.segment(self.number);
            return Err(LogError::Version { file, found, reads });
        }
        Ok(())
    }

    /// How long the segment before was when this one was made; `None` if the header is not whole.
    fn before(&self, format: Format) -> Option<u64> {
        let found = self.bytes.first_chunk::<HEADER>()?;
        let before = u64::from_le_bytes(found[12..20].try_into().expect("8 bytes"));
        (header(format, self.number, before) == found).then_some(before)
    }

    fn damaged(&self, format: Format, offset: u64, why: impl Into<String>) -> LogError {
        LogError::Damaged { file: format.segment(self.number), offset, why: why.into() }
    }

    /// Replays the groups up to the first that is not whole. In a segment that was forced, that one must
    /// not have been durable: not by the mark, nor by what stands behind.
    fn replay<R: DeserializeOwned>(
        self,
        format: Format,
        marked: Option<u64>,
        replay: &mut impl FnMut(R, u32),
    ) -> Result<Whole, LogError> {
        let number = self.number;
        let size = self.bytes.len() as u64;
        if self.before(format).is_none() {
            // Without syncs: nothing of it can be relied on.
            return Ok(Whole { number, file: self.file, length: 0, torn: size, chain: number });
        }
        let mut place = frame::Place { segment: number, at: HEADER as u64, chain: number };
        while let Some(group) = frame::read(&self.bytes, place) {
            let records = frame::decode(group.records).ok_or_else(|| {
                self.damaged(format, place.at, "a whole group has records of another version")
            })?;
            for record in records {
                replay(record, number);
            }
            place = group.next;
        }
        if let Some(marked) = marked {
            let behind = frame::durable_by(&self.bytes, number, place.at as usize);
            let durable = behind.max(marked);
            if durable > place.at {
                let why = format!("it was durable up to byte {durable}");
                return Err(self.damaged(format, place.at, why));
            }
        }
        let torn = size - place.at;
        Ok(Whole { number, file: self.file, length: place.at, torn, chain: place.chain })
    }
}

impl Whole {
    /// A closed segment is as long as the next one says.
    fn is_complete(&self, format: Format, length: u64) -> Result<(), LogError> {
        if self.length == length && self.torn == 0 {
            return Ok(());
        }
        Err(LogError::Damaged {
            file: format.segment(self.number),
            offset: self.length.min(length),
            why: format!("it was closed at byte {length}"),
        })
    }
}
