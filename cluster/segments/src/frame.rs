//! Groups of records on the disk: a header of 28 bytes, then the records in postcard.
//!
//! A header says where it stands (its checksum begins with the segment's number and the offset), which
//! group precedes it, and how much of the segment was durable when it was written. So a group is
//! recognised wherever one looks, a stale one is never mistaken for the next, and one behind a hole
//! says whether the hole was durable once.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// What a group begins with.
const MAGIC: [u8; 4] = *b"FRGP";
/// Magic, length, checksum of the header before, durable length, checksums of records and header.
pub const HEADER: usize = 28;

/// Where a group stands, and what it follows.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The segment's number.
    pub segment: u32,
    /// The offset in it.
    pub at: u64,
    /// The checksum of the header before; of the first group the segment's number.
    pub chain: u32,
}

/// Encodes a group into an empty buffer; the checksum that the next one continues.
pub fn write<R: Serialize>(buffer: &mut Vec<u8>, records: &[R], place: Place, durable: u64) -> u32 {
    assert!(buffer.is_empty(), "{} bytes are in the way", buffer.len());
    buffer.resize(HEADER, 0);
    for record in records {
        *buffer = postcard::to_extend(record, std::mem::take(buffer))
            .expect("records have known lengths");
    }
    let (header, records) = buffer.split_at_mut(HEADER);
    header[..4].copy_from_slice(&MAGIC);
    header[4..8].copy_from_slice(&(records.len() as u32).to_le_bytes());
    header[8..12].copy_from_slice(&place.chain.to_le_bytes());
    header[12..20].copy_from_slice(&durable.to_le_bytes());
    header[20..24].copy_from_slice(&crc32fast::hash(records).to_le_bytes());
    let checksum = checksum(header, place.segment, place.at);
    header[24..].copy_from_slice(&checksum.to_le_bytes());
    checksum
}

/// A group that is whole.
#[derive(Debug)]
pub struct Group<'a> {
    /// Its records.
    pub records: &'a [u8],
    /// The place behind it.
    pub next: Place,
}

/// The group at a place, if there is a whole one that follows what is before it.
pub fn read(bytes: &[u8], place: Place) -> Option<Group<'_>> {
    let header = Header::read(bytes, place.segment, usize::try_from(place.at).ok()?)?;
    if header.chain != place.chain {
        return None;
    }
    let start = place.at as usize + HEADER;
    let end = start.checked_add(header.length as usize)?;
    let records = bytes.get(start..end)?;
    let next = Place { at: end as u64, chain: header.checksum, ..place };
    (crc32fast::hash(records) == header.records).then_some(Group { records, next })
}

/// The records of a group; `None` if they are of another version.
pub fn decode<R: DeserializeOwned>(mut bytes: &[u8]) -> Option<Vec<R>> {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let (record, rest) = postcard::take_from_bytes(bytes).ok()?;
        records.push(record);
        bytes = rest;
    }
    Some(records)
}

/// How much of the segment was durable, by the word of the groups that begin behind `from`, whether or
/// not these are whole.
pub fn durable_by(bytes: &[u8], segment: u32, from: usize) -> u64 {
    let later = (from + 1..bytes.len()).filter_map(|at| Header::read(bytes, segment, at));
    later.map(|header| header.durable).max().unwrap_or(0)
}

struct Header {
    length: u32,
    chain: u32,
    durable: u64,
    records: u32,
    checksum: u32,
}

impl Header {
    fn read(bytes: &[u8], segment: u32, at: usize) -> Option<Self> {
        let header = bytes.get(at..at.checked_add(HEADER)?)?;
        if header[..4] != MAGIC {
            return None;
        }
        let word = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("4 bytes"));
        let durable = u64::from_le_bytes(header[12..20].try_into().expect("8 bytes"));
        let read = Self {
            length: word(4),
            chain: word(8),
            durable,
            records: word(20),
            checksum: word(24),
        };
        (checksum(header, segment, at as u64) == read.checksum).then_some(read)
    }
}

/// Of a header at its place, without the checksum itself.
fn checksum(header: &[u8], segment: u32, at: u64) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&segment.to_le_bytes());
    hasher.update(&at.to_le_bytes());
    hasher.update(&header[..HEADER - 4]);
    hasher.finalize()
}
