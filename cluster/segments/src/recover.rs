//! Opens a log: replays what is there, and makes it fit for appending.

use super::manifest::{Manifest, NEVER, Said};
use super::scan::{LogError, Scanned, Whole, scan};
use super::{Log, Options, Segment};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::io;

/// A log that was opened.
pub struct Opened {
    /// Ready for appending.
    pub log: Log,
    /// The valid bytes of each segment.
    pub lengths: BTreeMap<u32, u64>,
}

/// A log that was read, and not changed yet.
pub struct Unopened {
    options: Options,
    scanned: Scanned,
}

/// Opens the log, or makes one. Each record is given to `replay` with the number of its segment, in
/// the order in which they were appended.
///
/// # Errors
/// The disk refused, or what is on it is not what was written: then nothing was changed.
pub fn open<R: DeserializeOwned>(
    options: Options,
    replay: impl FnMut(R, u32),
) -> Result<Opened, LogError> {
    read(options, replay)?.open()
}

/// The first half of `open`: reads, and changes nothing.
///
/// # Errors
/// As of `open`.
pub fn read<R: DeserializeOwned>(
    options: Options,
    replay: impl FnMut(R, u32),
) -> Result<Unopened, LogError> {
    let scanned = scan(&*options.disk, options.format, replay)?;
    Ok(Unopened { options, scanned })
}

impl Unopened {
    /// The other half of `open`: makes the log fit for appending.
    ///
    /// # Errors
    /// The disk refused.
    pub fn open(self) -> Result<Opened, LogError> {
        let Self { options, scanned } = self;
        let lengths = scanned.segments.iter().map(|read| (read.number, read.length)).collect();
        let file = options.format.manifest();
        let log = settle(options, scanned);
        let log = log.map_err(|source| LogError::Disk { file, source })?;
        Ok(Opened { log, lengths })
    }
}

/// Makes what was read durable, and nothing else: what was in the cache of a system whose process was
/// killed is good, but a power loss could still take it.
fn settle(options: Options, scanned: Scanned) -> io::Result<Log> {
    let Scanned { said, mut segments, leftover } = scanned;
    let Options { disk, format, fsync, .. } = &options;
    let before = said.unwrap_or(Said::NEW);
    let newest = segments.last().map_or(before.newest, |last| last.number.max(before.newest));
    let forced_from = match (*fsync, before.forced_from) {
        (false, _) => NEVER,
        (true, NEVER) => newest + 1,
        (true, from) => from,
    };
    for segment in
        segments.iter().filter(|segment| forced_from == newest + 1 || segment.number == newest)
    {
        if segment.torn > 0 {
            segment.file.set_len(segment.length)?;
        }
        segment.file.sync_data()?;
    }
    for number in leftover {
        disk.remove(&format.segment(number))?;
    }
    disk.sync_dir()?;
    let mut manifest = Manifest::open(&**disk, *format, before)?;
    manifest.say(before.oldest, newest, forced_from)?;
    if said.is_none() {
        disk.sync_dir()?;
    }
    let current = segments.pop_if(|last| last.number == newest && last.length > 0);
    let current = current.map(|last| {
        let Whole { number, file, length, chain, .. } = last;
        let full = forced_from > number && *fsync;
        let durable = if *fsync { length } else { 0 };
        Segment { length, durable, chain, full, ..Segment::begun(number, file) }
    });
    if let Some(Segment { number, durable, .. }) = &current
        && *fsync
    {
        manifest.mark(*number, *durable)?;
    }
    let closed = segments.iter().map(|segment| segment.number).collect();
    Ok(Log { options, manifest, closed, current, newest, given_up: 0, buffer: Vec::new() })
}
