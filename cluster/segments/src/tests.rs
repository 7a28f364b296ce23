//! What is appended, what is read back, and how a log ends.

use super::*;
use fakes::{Failure, FakeDisk};

pub type Record = (u64, Vec<u8>);

pub const FORMAT: Format = Format { prefix: "test", magic: *b"SEGTEST3" };

pub fn record(n: u64) -> Record {
    (n, vec![n as u8; 40])
}

pub fn options(disk: &FakeDisk, fsync: bool) -> Options {
    Options { disk: Arc::new(disk.clone()), format: FORMAT, segment_bytes: 400, fsync }
}

/// The numbers of the records in a log.
pub fn opened(disk: &FakeDisk, fsync: bool) -> Result<(Log, Vec<u64>), LogError> {
    let mut numbers = Vec::new();
    let opened = open(options(disk, fsync), |(n, body): Record, _| {
        assert_eq!(body, record(n).1);
        numbers.push(n);
    })?;
    Ok((opened.log, numbers))
}

/// Appends groups of three until these numbers are written.
pub fn append(log: &mut Log, numbers: std::ops::Range<u64>) {
    let records: Vec<Record> = numbers.map(record).collect();
    for group in records.chunks(3) {
        log.append(group, Force::AsConfigured).expect("a disk that works");
    }
}

#[test]
fn what_was_appended_is_read_back_over_many_segments() {
    let disk = FakeDisk::default();
    let (mut log, none) = opened(&disk, true).unwrap();
    assert!(none.is_empty());
    append(&mut log, 0..40);
    drop(log);
    let left = disk.after_power_loss(&mut |_| 1);
    assert!(left.list().unwrap().len() > 5, "{:?}", left.list());
    let (mut log, numbers) = opened(&left, true).unwrap();
    assert!(numbers.into_iter().eq(0..40));
    append(&mut log, 40..45);
    assert!(opened(&left.after_power_loss(&mut |_| 1), true).unwrap().1.into_iter().eq(0..45));
}

#[test]
fn a_write_that_was_never_durable_is_cut_off() {
    for tail in [&[0; 64][..], &[7; 3], b"FRGP and something else that is no header"] {
        let disk = FakeDisk::default();
        let (mut log, _) = opened(&disk, true).unwrap();
        append(&mut log, 0..2);
        let name = FORMAT.segment(1);
        let torn = [disk.contents(&name), tail.to_vec()].concat();
        disk.put(&name, &torn);
        let (checked, read) = check::<Record>(&disk, FORMAT);
        assert!(read.is_ok(), "{read:?}");
        assert_eq!((checked.records, checked.torn), (2, tail.len() as u64));
        assert_eq!(disk.contents(&name), torn, "a check changes nothing");
        let (mut log, numbers) = opened(&disk, true).unwrap();
        assert_eq!(numbers, [0, 1]);
        append(&mut log, 2..3);
        assert_eq!(opened(&disk, true).unwrap().1, [0, 1, 2]);
    }
}

#[test]
fn a_group_whose_write_or_sync_failed_gives_its_place_to_the_next() {
    for failure in [Failure::Full, Failure::Sync] {
        let disk = FakeDisk::default();
        let (mut log, _) = opened(&disk, true).unwrap();
        append(&mut log, 0..3);
        disk.fail(Some(failure));
        assert!(log.append(&[record(90)], Force::AsConfigured).is_err());
        disk.fail(None);
        append(&mut log, 3..6);
        drop(log);
        assert_eq!(opened(&disk, true).unwrap().1, [0, 1, 2, 3, 4, 5], "{failure:?}");
    }
}

#[test]
fn a_log_of_another_version_is_refused_as_such() {
    let disk = FakeDisk::default();
    let (mut log, _) = opened(&disk, true).unwrap();
    append(&mut log, 0..3);
    let newer = Format { magic: *b"SEGTEST4", ..FORMAT };
    let before = disk.everything();
    let refused = open(Options { format: newer, ..options(&disk, true) }, |_: Record, _| ());
    let refused = refused.err().expect("refused").to_string();
    assert!(refused.contains("has version 3") && refused.contains("reads version 4"), "{refused}");
    assert_eq!(disk.everything(), before);
}

#[test]
fn records_of_another_version_end_no_log() {
    let disk = FakeDisk::default();
    let (mut log, _) = opened(&disk, true).unwrap();
    append(&mut log, 0..3);
    log.append(&[(7_u64, 300_u64)], Force::AsConfigured).unwrap();
    append(&mut log, 3..4);
    let before = disk.everything();
    let refused = opened(&disk, true).err().expect("refused");
    assert!(matches!(refused, LogError::Damaged { .. }), "{refused}");
    assert_eq!(disk.everything(), before);
}

#[test]
fn segments_that_were_given_up_do_not_come_back() {
    let disk = FakeDisk::default();
    let (mut log, _) = opened(&disk, true).unwrap();
    append(&mut log, 0..20);
    let through = log.rotate();
    append(&mut log, 20..23);
    log.remove_through(through).unwrap();
    drop(log);
    // The removals were not forced, and none of them reached the disk.
    let left = disk.after_power_loss(&mut |bound| u64::from(bound != 2));
    assert_eq!(opened(&left, true).unwrap().1, [20, 21, 22]);
}

/// What a killed process wrote last is in the page cache, and the next process builds on it.
#[test]
fn a_power_loss_after_a_kill_loses_no_group() {
    let life = |disk: &FakeDisk, from: u64| {
        let (mut log, numbers) = opened(disk, true)?;
        let found = numbers.len() as u64;
        assert!(found >= from, "{found} of {from}");
        let mut durable = found;
        for number in found..found + 12 {
            let appended = log.append(&[record(number)], Force::Always);
            appended.map_err(|source| LogError::Disk { file: String::new(), source })?;
            durable += 1;
            if durable.is_multiple_of(5) {
                log.rotate();
            }
        }
        Ok::<u64, LogError>(durable)
    };
    for (killed, lost) in (0..60).flat_map(|killed| (0..12).map(move |lost| (killed, lost))) {
        let disk = FakeDisk::default();
        let mut durable = life(&disk, 0).unwrap();
        for changes in [killed, lost] {
            disk.power_off_after(changes);
            durable = life(&disk, durable).unwrap_or(durable);
            disk.power_off_after(u64::MAX);
            disk.kill(&mut |_| 0);
        }
        let mut next = protocol::mix::SplitMix::new(killed * 100 + lost);
        for _ in 0..12 {
            let left = disk.after_power_loss(&mut |bound| next.below(bound));
            let last = life(&left, durable);
            assert!(last.is_ok(), "killed after {killed}, power lost after {lost}: {last:?}");
        }
    }
}

/// A step of beginning a segment fails and is made again; what the first attempt left may reach the disk.
#[test]
fn a_disk_that_failed_for_a_while_takes_no_group_along() {
    for (first, second) in (0..10).flat_map(|first| (0..10).map(move |second| (first, second))) {
        let disk = FakeDisk::default();
        let (mut log, _) = opened(&disk, true).unwrap();
        append(&mut log, 0..9);
        let mut confirmed = 9;
        for changes in [first, second] {
            disk.power_off_after(changes);
            let appended = log.append(&[record(confirmed)], Force::AsConfigured);
            confirmed += u64::from(appended.is_ok());
        }
        for seed in 0..30 {
            let mut next = protocol::mix::SplitMix::new(seed);
            let left = disk.after_power_loss(&mut |bound| next.below(bound));
            let read = opened(&left, true);
            let (_, numbers) = read.unwrap_or_else(|e| panic!("{first}, {second}, {seed}: {e}"));
            let count = numbers.len() as u64;
            assert!(count >= confirmed && numbers.into_iter().eq(0..count), "{first}, {second}");
        }
    }
}

#[test]
fn without_syncs_a_power_loss_may_take_anything_and_the_log_still_opens() {
    for seed in 0..200 {
        let mut random = protocol::mix::SplitMix::new(seed);
        let mut draw = |bound| random.below(bound);
        let disk = FakeDisk::default();
        let (mut log, _) = opened(&disk, false).unwrap();
        append(&mut log, 0..30);
        drop(log);
        let left = disk.after_power_loss(&mut draw);
        let (mut log, before) = opened(&left, false).unwrap();
        append(&mut log, 30..33);
        drop(log);
        // From now on everything is forced: what is there stays.
        let (mut log, numbers) = opened(&left, true).unwrap();
        assert!(numbers.into_iter().eq(before.iter().copied().chain(30..33)), "seed {seed}");
        append(&mut log, 33..60);
        drop(log);
        let left = left.after_power_loss(&mut draw);
        let numbers = opened(&left, true).unwrap().1;
        assert!(numbers.into_iter().eq(before.into_iter().chain(30..60)), "seed {seed}");
    }
}
