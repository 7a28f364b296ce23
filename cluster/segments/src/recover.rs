//! Opens a log: replays what is there, up to the first bad record of each segment.

use super::{Format, Log, Options, Segment, frame};
use ports::Disk;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};
use std::io;

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
    /// A segment is of another version, or no segment at all. It is left as it is.
    #[error("{file} is not a log segment of this version")]
    Format {
        /// The file.
        file: String,
    },
}

/// A log that was opened.
pub struct Opened {
    /// Ready for appending.
    pub log: Log,
    /// The valid bytes of each segment.
    pub lengths: BTreeMap<u32, u64>,
    /// Closed segments that end in a bad record. A closed segment was complete once, so a disk has
    /// lied or lost something; everything behind the bad record of that segment is missing, the
    /// other segments are not.
    pub damaged: Vec<u32>,
}

/// Opens the log, or makes one. Each record is given to `replay` with the number of its segment, in
/// the order in which they were appended.
pub fn open<R: DeserializeOwned>(
    options: Options,
    mut replay: impl FnMut(R, u32),
) -> Result<Opened, LogError> {
    let Options { disk, format, .. } = &options;
    let names = disk.list().map_err(|source| LogError::Disk { file: ".".to_owned(), source })?;
    let numbers: BTreeSet<u32> = names.iter().filter_map(|name| format.segment_of(name)).collect();
    let newest = numbers.last().copied().unwrap_or(0);
    let mut lengths = BTreeMap::new();
    let mut damaged = Vec::new();
    let mut current = None;
    for number in &numbers {
        let file = format.file_name(*number);
        let read = read_segment(&**disk, *format, *number, &mut replay);
        let read = read.map_err(|source| LogError::Disk { file: file.clone(), source })?;
        let segment = read.ok_or(LogError::Format { file })?;
        lengths.insert(*number, segment.length);
        if *number == newest {
            current = Some(segment);
        } else if segment.damaged {
            damaged.push(*number);
        }
    }
    if let Some(segment) = &mut current {
        let file = format.file_name(newest);
        settle(&**disk, *format, segment).map_err(|source| LogError::Disk { file, source })?;
    }
    let closed = numbers.into_iter().filter(|number| *number != newest).collect();
    let log = Log { options, closed, current, newest, given_up: 0, buffer: Vec::new() };
    Ok(Opened { log, lengths, damaged })
}

/// Makes what was read of the newest segment durable, and nothing else: what was in the cache of a
/// system whose process was killed is good, but a power loss could still take it.
fn settle(disk: &dyn Disk, format: Format, segment: &mut Segment) -> io::Result<()> {
    if segment.length == 0 {
        segment.file.set_len(0)?;
        segment.file.write_at(0, &format.magic)?;
        segment.length = format.magic.len() as u64;
    } else if segment.damaged {
        segment.file.set_len(segment.length)?;
    }
    segment.damaged = false;
    segment.file.sync_data()?;
    disk.sync_dir()
}

/// Replays a segment; `None` if it is of another format. Its length is 0 if it was torn in its first
/// bytes.
fn read_segment<R: DeserializeOwned>(
    disk: &dyn Disk,
    format: Format,
    number: u32,
    replay: &mut impl FnMut(R, u32),
) -> io::Result<Option<Segment>> {
    let file = disk.open(&format.file_name(number))?;
    let size = file.len()?;
    let mut bytes = vec![0; usize::try_from(size).map_err(io::Error::other)?];
    file.read_at(0, &mut bytes)?;
    let segment =
        |length, chain, damaged| Segment { number, file, length, chain, damaged, full: false };
    let magic = &bytes[..bytes.len().min(format.magic.len())];
    if magic != format.magic {
        let torn =
            magic.iter().zip(format.magic).all(|(found, wanted)| *found == wanted || *found == 0);
        return Ok(torn.then(|| segment(0, number, true)));
    }
    let mut at = format.magic.len();
    let mut chain = number;
    while let Some(read) = frame::read(&bytes, at, chain) {
        replay(read.record, number);
        (at, chain) = (read.end, read.chain);
    }
    Ok(Some(segment(at as u64, chain, at < bytes.len())))
}
