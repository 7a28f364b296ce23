//! The bytes of the journal: records with length and checksum, read up to the first bad one.

use crate::core::state::{Record, State};

/// Length (4 bytes) and CRC-32 (4 bytes) of the payload, both little-endian.
const HEADER: usize = 8;

/// Appends the frame of a record.
pub fn write(record: &Record, to: &mut Vec<u8>) {
    let start = to.len();
    to.extend_from_slice(&[0; HEADER]);
    *to = postcard::to_extend(record, std::mem::take(to)).expect("known lengths");
    let payload = start + HEADER;
    let length = (to.len() - payload) as u32;
    let checksum = crc32fast::hash(&to[payload..]);
    to[start..start + 4].copy_from_slice(&length.to_le_bytes());
    to[start + 4..payload].copy_from_slice(&checksum.to_le_bytes());
}

/// The state that a journal describes, and how many of its bytes are good. What follows the first bad
/// record was never confirmed to anybody: a confirm waits until everything before it is synced.
/// `None` if not even the snapshot at the beginning is whole.
pub fn read(bytes: &[u8]) -> Option<(State, usize)> {
    let (first, mut good) = record_at(bytes, 0)?;
    let Record::Snapshot(snapshot) = first else { return None };
    let mut state = State::from_snapshot(snapshot);
    while let Some((record, end)) = record_at(bytes, good) {
        state.apply(&record);
        good = end;
    }
    Some((state, good))
}

fn record_at(bytes: &[u8], at: usize) -> Option<(Record, usize)> {
    let header = bytes.get(at..at + HEADER)?;
    let length = u32::from_le_bytes(header[..4].try_into().ok()?) as usize;
    let checksum = u32::from_le_bytes(header[4..].try_into().ok()?);
    let end = at + HEADER + length;
    let payload = bytes.get(at + HEADER..end)?;
    // A run of zeros would pass for an endless row of empty records.
    if length == 0 || crc32fast::hash(payload) != checksum {
        return None;
    }
    Some((postcard::from_bytes(payload).ok()?, end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::refresh_token::FamilyId;
    use crate::core::state::Revocation;
    use protocol::UserId;

    fn journal() -> (Vec<u8>, Vec<usize>) {
        let records = [
            Record::Snapshot(State::new([5; 32]).to_snapshot(0)),
            Record::UserRevoked(UserId(1), Revocation { epoch: 1, change: 1 }),
            Record::FamilyEnded(FamilyId([1; 16])),
            Record::UserRevoked(UserId(2), Revocation { epoch: 1, change: 2 }),
        ];
        let mut bytes = Vec::new();
        let ends = records.iter().map(|record| {
            write(record, &mut bytes);
            bytes.len()
        });
        let ends = ends.collect();
        (bytes, ends)
    }

    #[test]
    fn a_journal_is_read_to_its_end() {
        let (bytes, _) = journal();
        let (state, good) = read(&bytes).unwrap();
        assert_eq!(good, bytes.len());
        assert_eq!((state.changes(), state.seed()), (2, &[5; 32]));
    }

    #[test]
    fn every_torn_end_leaves_the_records_before_it() {
        let (bytes, ends) = journal();
        for cut in 0..bytes.len() {
            let whole = ends.iter().filter(|end| **end <= cut).count();
            let read = read(&bytes[..cut]);
            assert_eq!(read.map(|(_, good)| good), whole.checked_sub(1).map(|n| ends[n]), "{cut}");
        }
    }

    #[test]
    fn a_flipped_bit_and_zeros_end_the_journal() {
        let (bytes, ends) = journal();
        let mut flipped = bytes.clone();
        flipped[ends[1] + HEADER] ^= 1;
        assert_eq!(read(&flipped).unwrap().1, ends[1]);
        let zeros = [bytes.clone(), vec![0; 4096]].concat();
        assert_eq!(read(&zeros).unwrap().1, bytes.len());
    }
}
