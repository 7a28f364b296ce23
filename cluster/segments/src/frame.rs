//! Records on the disk: length (4 bytes), checksum (4 bytes), postcard; little-endian.
//!
//! Each checksum is continued from the one before, the first from the segment's number. So a stale
//! record behind a cut, or one that survived a hole before it, never looks like the next record.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Length and checksum.
const HEADER: usize = 8;

/// Appends a record; the checksum that the next one continues.
pub fn write<R: Serialize>(buffer: &mut Vec<u8>, record: &R, chain: u32) -> u32 {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; HEADER]);
    *buffer =
        postcard::to_extend(record, std::mem::take(buffer)).expect("records have known lengths");
    let (header, payload) = buffer[start..].split_at_mut(HEADER);
    let checksum = continued(chain, payload);
    header[..4].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    header[4..].copy_from_slice(&checksum.to_le_bytes());
    checksum
}

/// A record, where it ends, and the checksum that the next one continues.
pub struct Read<R> {
    /// The record.
    pub record: R,
    /// The offset behind it.
    pub end: usize,
    /// Its checksum.
    pub chain: u32,
}

/// Reads the record at `start`; `None` if there is no good one.
pub fn read<R: DeserializeOwned>(bytes: &[u8], start: usize, chain: u32) -> Option<Read<R>> {
    let header = bytes.get(start..start.checked_add(HEADER)?)?;
    let length = u32::from_le_bytes([header[0], header[1], header[2], header[3]]) as usize;
    let checksum = u32::from_le_bytes([header[4], header[5], header[6], header[7]]);
    let end = (start + HEADER).checked_add(length)?;
    let payload = bytes.get(start + HEADER..end)?;
    if payload.is_empty() || continued(chain, payload) != checksum {
        return None;
    }
    let record = postcard::from_bytes(payload).ok()?;
    Some(Read { record, end, chain: checksum })
}

fn continued(chain: u32, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(chain);
    hasher.update(payload);
    hasher.finalize()
}
