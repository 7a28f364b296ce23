//! The segment log on a disk. Everything here blocks: it runs on a worker.
//!
//! Segments are files `broker-<number>.log`: a magic word, then records (see `frame`). Records are
//! appended to the newest segment only. A segment that has reached its size is closed, and closed
//! segments are removed oldest first, each removal durable before the next: a record that settles a
//! message never goes before the message.
//!
//! After a failed write or sync nobody knows what of it is on the disk. The log then cuts the segment
//! back to what was durable before it writes again, so that a group is either reported durable or
//! (unless the node dies first) gone.

mod frame;
mod recover;

#[cfg(test)]
mod tests;

use crate::core::Record;
use ports::{Disk, DiskFile};
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

pub use recover::{LogError, Recovered, open};

/// The first bytes of every segment: the format and its version.
const MAGIC: [u8; 8] = *b"FRACASB1";

/// A log that is open for appending.
pub struct Log {
    disk: Arc<dyn Disk>,
    segment_bytes: u64,
    /// Whether a sync is really made.
    fsync: bool,
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
}

/// Where a group went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The segment.
    pub segment: u32,
    /// Its length now.
    pub length: u64,
}

impl Log {
    /// Appends a group of records, as one write into one segment; durable on `Ok` if `sync`.
    pub fn append(&mut self, records: &[Record], sync: bool) -> io::Result<Appended> {
        self.prepare()?;
        let Some(segment) = &mut self.current else {
            return Err(io::Error::other("the log has no segment"));
        };
        self.buffer.clear();
        let mut chain = segment.chain;
        for record in records {
            chain = frame::write(&mut self.buffer, record, chain);
        }
        // Damaged until proven otherwise: an error anywhere below leaves the mark.
        segment.damaged = true;
        segment.file.write_at(segment.length, &self.buffer)?;
        if sync && self.fsync {
            segment.file.sync_data()?;
        }
        segment.damaged = false;
        segment.length += self.buffer.len() as u64;
        segment.chain = chain;
        if self.buffer.capacity() > BUFFER_KEPT_BYTES {
            self.buffer = Vec::new();
        }
        Ok(Appended { segment: segment.number, length: segment.length })
    }

    /// Removes the segments up to this one; what cannot be removed now is tried again next time.
    pub fn remove_through(&mut self, through: u32) -> io::Result<()> {
        self.given_up = self.given_up.max(through);
        while let Some(oldest) = self.closed.first().copied().filter(|n| *n <= self.given_up) {
            self.disk.remove(&file_name(oldest))?;
            self.disk.sync_dir()?;
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
            if segment.length < self.segment_bytes {
                return Ok(());
            }
            // Records of settlements may not have been forced yet; a closed segment is complete.
            if self.fsync {
                segment.file.sync_data()?;
            }
            self.closed.insert(segment.number);
            self.current = None;
        }
        self.begin_segment()
    }

    fn begin_segment(&mut self) -> io::Result<()> {
        let number = self.newest + 1;
        let file = self.disk.open(&file_name(number))?;
        // A file of this name can only be what an earlier failure of these steps has left.
        file.set_len(0)?;
        file.write_at(0, &MAGIC)?;
        if self.fsync {
            file.sync_data()?;
            self.disk.sync_dir()?;
        }
        self.newest = number;
        self.current = Some(Segment {
            number,
            file,
            length: MAGIC.len() as u64,
            chain: number,
            damaged: false,
        });
        Ok(())
    }
}

/// A larger buffer of a rare large group is not kept.
const BUFFER_KEPT_BYTES: usize = 4 * 1024 * 1024;

fn file_name(segment: u32) -> String {
    format!("broker-{segment:010}.log")
}

fn segment_of(name: &str) -> Option<u32> {
    name.strip_prefix("broker-")?.strip_suffix(".log")?.parse().ok()
}
