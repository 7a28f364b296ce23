//! Opens a log: replays what is there, up to the first bad record of the newest segment.

use super::{Log, MAGIC, Segment, file_name, frame, segment_of};
use crate::core::Replay;
use ports::Disk;
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

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
pub struct Recovered {
    /// Ready for appending.
    pub log: Log,
    /// What it holds.
    pub replay: Replay,
    /// Closed segments that end in a bad record. A closed segment was complete once, so a disk has
    /// lied or lost something; everything behind the bad record of that segment is missing, the
    /// other segments are not.
    pub damaged: Vec<u32>,
}

/// Opens the log, or makes one.
pub fn open(disk: Arc<dyn Disk>, segment_bytes: u64, fsync: bool) -> Result<Recovered, LogError> {
    let names = disk.list().map_err(|source| LogError::Disk { file: ".".to_owned(), source })?;
    let numbers: BTreeSet<u32> = names.iter().filter_map(|name| segment_of(name)).collect();
    let newest = numbers.last().copied().unwrap_or(0);
    let mut replay = Replay::default();
    let mut damaged = Vec::new();
    let mut current = None;
    for number in &numbers {
        let file = file_name(*number);
        let read = read_segment(&*disk, *number, &mut replay);
        let read = read.map_err(|source| LogError::Disk { file: file.clone(), source })?;
        let segment = read.ok_or(LogError::Format { file })?;
        replay.set_length(*number, segment.length);
        if *number == newest {
            current = Some(segment);
        } else if segment.damaged {
            damaged.push(*number);
        }
    }
    if let Some(segment) = &mut current {
        let file = file_name(newest);
        settle(&*disk, segment).map_err(|source| LogError::Disk { file, source })?;
    }
    let closed = numbers.into_iter().filter(|number| *number != newest).collect();
    let log = Log {
        disk,
        segment_bytes,
        fsync,
        closed,
        current,
        newest,
        given_up: 0,
        buffer: Vec::new(),
    };
    Ok(Recovered { log, replay, damaged })
}

/// Makes what was read of the newest segment durable, and nothing else: what was in the cache of a
/// system whose process was killed is good, but a power loss could still take it.
fn settle(disk: &dyn Disk, segment: &mut Segment) -> io::Result<()> {
    if segment.length == 0 {
        segment.file.set_len(0)?;
        segment.file.write_at(0, &MAGIC)?;
        segment.length = MAGIC.len() as u64;
    } else if segment.damaged {
        segment.file.set_len(segment.length)?;
    }
    segment.damaged = false;
    segment.file.sync_data()?;
    disk.sync_dir()
}

/// Replays a segment; `None` if it is of another format. Its length is 0 if it was torn in its first
/// bytes.
fn read_segment(disk: &dyn Disk, number: u32, replay: &mut Replay) -> io::Result<Option<Segment>> {
    let file = disk.open(&file_name(number))?;
    let size = file.len()?;
    let mut bytes = vec![0; usize::try_from(size).map_err(io::Error::other)?];
    file.read_at(0, &mut bytes)?;
    let magic = &bytes[..bytes.len().min(MAGIC.len())];
    if magic != MAGIC {
        let torn = magic.iter().zip(MAGIC).all(|(found, wanted)| *found == wanted || *found == 0);
        let empty = Segment { number, file, length: 0, chain: number, damaged: true };
        return Ok(torn.then_some(empty));
    }
    let mut at = MAGIC.len();
    let mut chain = number;
    while let Some(read) = frame::read(&bytes, at, chain) {
        replay.apply(read.record, number);
        (at, chain) = (read.end, read.chain);
    }
    Ok(Some(Segment { number, file, length: at as u64, chain, damaged: at < bytes.len() }))
}
