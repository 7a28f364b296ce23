//! A checksummed segment log on a node's disk: the broker's queues, the store's commits and the
//! issuer's grants stand in one each. Everything here blocks: it runs on a worker.
//!
//! Segments are files `<prefix>-<number>.log`: a header, then groups of records (see `frame`). Groups
//! are appended to the newest segment only. A segment that has reached its size is closed; closed
//! segments are given up oldest first. `<prefix>.manifest` says which segments there are.
//!
//! After a failed write or sync nobody knows what of it is on the disk. The log then cuts the segment
//! back to what was durable before it writes again, so that a group is either reported durable or
//! (unless the node dies first) gone.
//!
//! # What a start finds
//! A log ends cleanly, or in a torn tail: a write that was never reported durable. Anything else is
//! damage, and a damaged log is not opened and not changed. What tells them apart is written down
//! apart from the group itself, as in "Protocol-Aware Recovery for Consensus-Based Storage" (Alagappan
//! et al., FAST '18): each later group and the manifest's mark say how much was durable, and a segment
//! says how long the one before it was.

mod frame;
mod manifest;
mod recover;
mod scan;

#[cfg(test)]
mod rot;
#[cfg(test)]
mod tests;

use manifest::{Manifest, Said};
use ports::{Disk, DiskFile};
use serde::Serialize;
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

pub use recover::{Opened, Unopened, open, read};
pub use scan::{ADVICE, Checked, LogError, Presence, check};

/// Whose log it is: logs of several formats can share a directory.
#[derive(Clone, Copy, Debug)]
pub struct Format {
    /// How the files' names begin.
    pub prefix: &'static str,
    /// The first bytes of every file: the format, and in the last byte its version.
    pub magic: [u8; 8],
}

/// Where a log is, and how it is kept.
pub struct Options {
    /// The node's directory.
    pub disk: Arc<dyn Disk>,
    /// Whose log it is.
    pub format: Format,
    /// A segment of so many bytes is closed.
    pub segment_bytes: u64,
    /// Whether a sync is really made. Without, a power loss may take anything, and damage cannot be
    /// told from it.
    pub fsync: bool,
}

/// A log that is open for appending.
pub struct Log {
    options: Options,
    manifest: Manifest,
    closed: BTreeSet<u32>,
    current: Option<Segment>,
    newest: u32,
    /// Old segments are not needed up to this one, but may be there still.
    given_up: u32,
    buffer: Vec<u8>,
}

struct Segment {
    number: u32,
    file: Box<dyn DiskFile>,
    /// Bytes that are valid.
    length: u64,
    /// Bytes of these that are durable.
    durable: u64,
    chain: u32,
    /// A write failed behind `length`.
    damaged: bool,
    /// Closed before the next group, whatever its length.
    full: bool,
}

/// Where a group went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The segment.
    pub segment: u32,
    /// Its length now.
    pub length: u64,
    /// What the group took.
    pub bytes: u64,
}

/// How durable a group must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    /// As the log's options say.
    AsConfigured,
    /// Durable, also in a log that makes no syncs.
    Always,
}

impl Log {
    /// Appends a group of records, as one write into one segment; on `Ok` it is as durable as asked.
    pub fn append<R: Serialize>(&mut self, records: &[R], force: Force) -> io::Result<Appended> {
        self.prepare()?;
        let Some(segment) = &mut self.current else {
            return Err(io::Error::other("the log has no segment"));
        };
        debug_assert!(
            segment.file.len().map_or(true, |on_disk| on_disk == segment.length),
            "segment {} has {} valid bytes, and its file {:?}",
            segment.number,
            segment.length,
            segment.file.len()
        );
        self.buffer.clear();
        let (number, durable) = (segment.number, segment.durable);
        let place = frame::Place { segment: number, at: segment.length, chain: segment.chain };
        let chain = frame::write(&mut self.buffer, records, place, durable);
        let bytes = self.buffer.len() as u64;
        // Damaged until proven otherwise: an error anywhere below leaves the mark.
        segment.damaged = true;
        segment.file.write_at(segment.length, &self.buffer)?;
        if self.options.fsync || force == Force::Always {
            segment.file.sync_data()?;
        }
        if !self.options.fsync && force == Force::Always {
            self.options.disk.sync_dir()?;
        }
        segment.damaged = false;
        segment.length += bytes;
        segment.chain = chain;
        let length = segment.length;
        if self.options.fsync {
            segment.durable = length;
            // The group is durable whether or not this can be noted.
            let _ = self.manifest.mark(number, length);
        }
        if self.buffer.capacity() > BUFFER_KEPT_BYTES {
            self.buffer = Vec::new();
        }
        Ok(Appended { segment: number, length, bytes })
    }

    /// Later groups go to a new segment; the number of the newest one until then.
    pub fn rotate(&mut self) -> u32 {
        if let Some(segment) = &mut self.current {
            segment.full = true;
        }
        self.newest
    }

    /// Gives up the closed segments up to this one; what cannot be removed now is tried again next
    /// time.
    pub fn remove_through(&mut self, through: u32) -> io::Result<()> {
        self.given_up = self.given_up.max(through);
        let given_up = self.closed.iter().take_while(|number| **number <= self.given_up);
        let given_up: Vec<u32> = given_up.copied().collect();
        let Some(last) = given_up.last() else { return Ok(()) };
        if self.manifest.said().oldest <= *last {
            self.manifest.say(last + 1, self.newest, self.manifest.said().forced_from)?;
        }
        for number in given_up {
            self.options.disk.remove(&self.options.format.segment(number))?;
            self.closed.remove(&number);
        }
        Ok(())
    }

    /// Makes the current segment fit for the next write: cut back, closed, or made.
    fn prepare(&mut self) -> io::Result<()> {
        let Some(segment) = &mut self.current else { return self.begin_segment(0) };
        if segment.damaged {
            segment.file.set_len(segment.length)?;
            segment.file.sync_data()?;
            segment.damaged = false;
        }
        if segment.length < self.options.segment_bytes && !segment.full {
            return Ok(());
        }
        let (number, length) = (segment.number, segment.length);
        self.begin_segment(length)?;
        self.closed.insert(number);
        Ok(())
    }

    /// Makes the segment behind the newest one, which ends at this length.
    fn begin_segment(&mut self, length: u64) -> io::Result<()> {
        let Options { disk, format, fsync, .. } = &self.options;
        let number = self.newest + 1;
        let file = disk.open(&format.segment(number))?;
        // A file of this name can only be what an earlier failure of these steps has left. If it failed
        // last, the manifest on the disk may name the segment already: its header stays what it is.
        let header = scan::header(*format, number, length);
        file.write_at(0, &header)?;
        file.set_len(header.len() as u64)?;
        if *fsync {
            file.sync_data()?;
            disk.sync_dir()?;
        }
        let Said { oldest, forced_from, .. } = self.manifest.said();
        self.manifest.say(oldest, number, forced_from)?;
        self.newest = number;
        self.current = Some(Segment::begun(number, file));
        Ok(())
    }
}

impl Segment {
    const fn begun(number: u32, file: Box<dyn DiskFile>) -> Self {
        let length = scan::HEADER as u64;
        Self { number, file, length, durable: length, chain: number, damaged: false, full: false }
    }
}

/// A larger buffer of a rare large group is not kept.
const BUFFER_KEPT_BYTES: usize = 4 * 1024 * 1024;

impl Format {
    fn segment(&self, number: u32) -> String {
        format!("{}-{number:010}.log", self.prefix)
    }

    fn number_of(&self, name: &str) -> Option<u32> {
        name.strip_prefix(self.prefix)?.strip_prefix('-')?.strip_suffix(".log")?.parse().ok()
    }

    fn manifest(&self) -> String {
        format!("{}.manifest", self.prefix)
    }
}
