//! Frames and segments: what is read back, and what is not mistaken for a record.

use super::frame;
use proptest::prelude::*;

type Record = (u8, Vec<u8>);

fn record(n: u64) -> Record {
    (n as u8, vec![n as u8; 40])
}

/// The records from the start of some bytes.
fn read(bytes: &[u8], mut chain: u32) -> Vec<Record> {
    let (mut records, mut at) = (Vec::new(), 0);
    while let Some(read) = frame::read(bytes, at, chain) {
        records.push(read.record);
        (at, chain) = (read.end, read.chain);
    }
    records
}

fn write(records: impl IntoIterator<Item = Record>, mut chain: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    for record in records {
        chain = frame::write(&mut bytes, &record, chain);
    }
    bytes
}

#[test]
fn zeros_are_no_record() {
    let mut bytes = write([record(1)], 1);
    bytes.extend([0; 64]);
    assert_eq!(read(&bytes, 1), [record(1)]);
    assert_eq!(read(&[0; 64], 0), []);
}

#[test]
fn a_record_behind_a_hole_is_not_read() {
    let mut bytes = write((1..=3).map(record), 1);
    let length = bytes.len() / 3;
    bytes[length..2 * length].fill(0);
    assert_eq!(read(&bytes, 1), [record(1)]);
    // The hole is written again with a record of the same length: what is behind it is stale.
    let mut chain = 1;
    let mut again = Vec::new();
    for n in [1, 9] {
        chain = frame::write(&mut again, &record(n), chain);
    }
    bytes[..2 * length].copy_from_slice(&again);
    assert_eq!(read(&bytes, 1), [record(1), record(9)]);
}

#[test]
fn a_record_of_another_segment_is_not_read() {
    assert_eq!(read(&write([record(1)], 1), 2), []);
}

proptest! {
    #[test]
    fn a_damaged_log_gives_a_prefix(count in 1_u64..8, at in any::<prop::sample::Index>(), bit in 0..8) {
        let mut bytes = write((0..count).map(record), 5);
        let length = bytes.len() / count as usize;
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        let read = read(&bytes, 5);
        prop_assert_eq!(read.len(), at / length);
        prop_assert!(read.into_iter().eq((0..count).map(record).take(at / length)));
    }

    #[test]
    fn garbage_is_no_record(bytes in prop::collection::vec(any::<u8>(), 0..200), chain in any::<u32>()) {
        prop_assert_eq!(read(&bytes, chain), []);
    }
}
