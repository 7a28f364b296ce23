//! A checksummed segment log on a node's disk: the broker's queues and the store's commits stand in
//! one each. Everything here blocks: it runs on a worker.
//!
//! Segments are files `<prefix>-<number>.log`: a magic word, then records (see `frame`). Records are
//! appended to the newest segment only. A segment that has reached its size is closed, and closed
//! segments are removed oldest first, each removal durable before the next: a record that undoes an
//! earlier one never goes before it.
//!
//! After a failed write or sync nobody knows what of it is on the disk. The log then cuts the segment
//! back to what was durable before it writes again, so that a group is either reported durable or
//! (unless the node dies first) gone.

mod frame;
mod recover;

#[cfg(test)]
mod tests;

use ports::{Disk, DiskFile};
use serde::Serialize;
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

pub use recover::{LogError, Opened, open};

/// Whose log it is: logs of several formats can share a directory.
#[derive(Clone, Copy, Debug)]
pub struct Format {
    /// How the files' names begin.
    pub prefix: &'static str,
    /// The first bytes of every segment: the format and its version.
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
    /// Whether a sync is really made.
    pub fsync: bool,
}

/// A log that is open for appending.
pub struct Log {
    options: Options,
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
    chain: u32,
    /// A write failed behind `length`.
    damaged: bool,
    /// Closed before the next record, whatever its length.
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

impl Log {
    /// Appends a group of records, as one write into one segment; durable on `Ok` if `sync`.
    pub fn append<R: Serialize>(&mut self, records: &[R], sync: bool) -> io::Result<Appended> {
        self.prepare()?;
        let Some(segment) = &mut self.current else {
            return Err(io::Error::other("the log has no segment"));
        };
        self.buffer.clear();
        let mut chain = segment.chain;
        for record in records {
            chain = frame::write(&mut self.buffer, record, chain);
        }
        let bytes = self.buffer.len() as u64;
        let (number, length) = (segment.number, segment.length);
        debug_assert!(
            segment.file.len().map_or(true, |on_disk| on_disk == length),
            "segment {number} has {length} valid bytes, and its file {:?}",
            segment.file.len()
        );
        // Damaged until proven otherwise: an error anywhere below leaves the mark.
        segment.damaged = true;
        segment.file.write_at(segment.length, &self.buffer)?;
        if sync && self.options.fsync {
            segment.file.sync_data()?;
        }
        segment.damaged = false;
        segment.length += bytes;
        segment.chain = chain;
        if self.buffer.capacity() > BUFFER_KEPT_BYTES {
            self.buffer = Vec::new();
        }
        Ok(Appended { segment: segment.number, length: segment.length, bytes })
    }

    /// Makes what was appended to the newest segment durable, also in a log that makes no syncs.
    pub fn force(&mut self) -> io::Result<()> {
        if let Some(segment) = &self.current {
            segment.file.sync_data()?;
        }
        self.options.disk.sync_dir()
    }

    /// Later records go to a new segment; the number of the newest one until then.
    pub fn rotate(&mut self) -> u32 {
        if let Some(segment) = &mut self.current {
            segment.full = true;
        }
        self.newest
    }

    /// Removes the segments up to this one; what cannot be removed now is tried again next time.
    pub fn remove_through(&mut self, through: u32) -> io::Result<()> {
        self.given_up = self.given_up.max(through);
        while let Some(oldest) = self.closed.first().copied().filter(|n| *n <= self.given_up) {
            let current = self.current.as_ref().map(|segment| segment.number);
            assert_ne!(Some(oldest), current, "the segment that is written to is closed");
            self.options.disk.remove(&self.options.format.file_name(oldest))?;
            self.options.disk.sync_dir()?;
            self.closed.remove(&oldest);
        }
        Ok(())
    }

    /// Makes the current segment fit for the next write: cut back, closed, or made.
    fn prepare(&mut self) -> io::Result<()> {
        if let Some(segment) = &mut self.current {
            if segment.damaged {
                segment.file.set_len(segment.length)?;
                segment.file.sync_data()?;
                segment.damaged = false;
            }
            if segment.length < self.options.segment_bytes && !segment.full {
                return Ok(());
            }
            // Not every record was forced; a closed segment is complete.
            if self.options.fsync {
                segment.file.sync_data()?;
            }
            let (number, last) = (segment.number, self.closed.last().copied());
            assert!(last < Some(number), "segment {number} is closed after segment {last:?}");
            self.closed.insert(number);
            self.current = None;
        }
        self.begin_segment()
    }

    fn begin_segment(&mut self) -> io::Result<()> {
        let Options { disk, format, fsync, .. } = &self.options;
        let number = self.newest + 1;
        let file = disk.open(&format.file_name(number))?;
        // A file of this name can only be what an earlier failure of these steps has left.
        file.set_len(0)?;
        file.write_at(0, &format.magic)?;
        if *fsync {
            file.sync_data()?;
            disk.sync_dir()?;
        }
        self.newest = number;
        self.current = Some(Segment {
            number,
            file,
            length: format.magic.len() as u64,
            chain: number,
            damaged: false,
            full: false,
        });
        Ok(())
    }
}

/// A larger buffer of a rare large group is not kept.
const BUFFER_KEPT_BYTES: usize = 4 * 1024 * 1024;

impl Format {
    fn file_name(&self, segment: u32) -> String {
        format!("{}-{segment:010}.log", self.prefix)
    }

    fn segment_of(&self, name: &str) -> Option<u32> {
        name.strip_prefix(self.prefix)?.strip_prefix('-')?.strip_suffix(".log")?.parse().ok()
    }
}
