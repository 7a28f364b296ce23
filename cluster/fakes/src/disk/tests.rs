//! What a kill and a power loss leave of a disk.

use super::*;
use protocol::mix::SplitMix;

fn draws(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut random = SplitMix::new(seed);
    move |bound| random.below(bound)
}

/// Nothing reaches the disk that was not forced.
const fn none(bound: u64) -> u64 {
    if bound < 2 { 0 } else { 1 }
}

#[test]
fn what_was_forced_survives_a_power_loss_and_a_name_may_be_lost() {
    for (keep, expected) in [(true, vec!["kept", "nameless"]), (false, vec!["gone", "kept"])] {
        let disk = FakeDisk::default();
        let kept = disk.open("kept").unwrap();
        disk.open("gone").unwrap();
        disk.sync_dir().unwrap();
        kept.write_at(0, b"synced").unwrap();
        kept.sync_data().unwrap();
        disk.remove("gone").unwrap();
        let nameless = disk.open("nameless").unwrap();
        nameless.write_at(0, b"synced too").unwrap();
        nameless.sync_data().unwrap();
        disk.power_loss(&mut |bound| if keep { 0 } else { none(bound) });
        assert_eq!(disk.list().unwrap(), expected);
        assert_eq!(disk.contents("kept"), b"synced");
    }
}

#[test]
fn some_unsynced_writes_are_lost_and_some_are_torn() {
    let mut total = Losses::default();
    for seed in 0..50 {
        let disk = FakeDisk::default();
        let file = disk.open("file").unwrap();
        file.write_at(0, &[1; 4096]).unwrap();
        let losses = disk.power_loss(&mut draws(seed));
        total.lost += losses.lost;
        total.torn += losses.torn;
    }
    assert!(total.lost > 5 && total.torn > 5 && total.lost + total.torn < 50, "{total:?}");
}

#[test]
fn a_kill_keeps_the_page_cache_and_cuts_the_job_under_way() {
    for seed in 0..20 {
        let disk = FakeDisk::default();
        let file = disk.open("file").unwrap();
        file.write_at(0, b"before").unwrap();
        let job = disk.begin_job();
        file.write_at(0, b"during").unwrap();
        file.set_len(3).unwrap();
        file.set_len(8).unwrap();
        disk.end_job(job);
        let losses = disk.kill(&mut draws(seed));
        let expected: &[u8] = match losses.cut {
            0 => b"dur\0\0\0\0\0",
            1 => b"dur",
            2 => b"during",
            _ => b"before",
        };
        assert_eq!(disk.contents("file"), expected, "{losses:?}");
    }
}

/// A job's code has run long before its disk time has passed, and a second job may act on what it reads.
#[test]
fn a_later_job_never_happens_without_what_it_builds_on() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..60 {
        let disk = FakeDisk::default();
        let [file, other] = ["file", "other"].map(|name| disk.open(name).unwrap());
        let first = disk.begin_job();
        file.write_at(0, b"1").unwrap();
        file.write_at(1, b"2").unwrap();
        disk.end_job(first);
        let second = disk.begin_job();
        file.write_at(2, b"3").unwrap();
        other.write_at(0, b"4").unwrap();
        disk.end_job(second);
        disk.kill(&mut draws(seed));
        seen.insert((disk.contents("file"), disk.contents("other")));
    }
    let seen: Vec<(&str, &str)> = seen
        .iter()
        .map(|(file, other)| (str::from_utf8(file).unwrap(), str::from_utf8(other).unwrap()))
        .collect();
    assert_eq!(seen, [("", ""), ("1", ""), ("12", ""), ("123", ""), ("123", "4")]);
}

#[test]
fn what_a_finished_job_builds_on_is_no_longer_cut() {
    let disk = FakeDisk::default();
    let [file, other] = ["file", "other"].map(|name| disk.open(name).unwrap());
    let first = disk.begin_job();
    file.write_at(0, b"1").unwrap();
    other.write_at(0, b"2").unwrap();
    disk.end_job(first);
    let second = disk.begin_job();
    file.write_at(1, b"3").unwrap();
    disk.end_job(second);
    disk.settle_job(second);
    assert_eq!(disk.kill(&mut |bound| bound - 1).cut, 1);
    assert_eq!((disk.contents("file"), disk.contents("other")), (b"13".into(), b"".into()));
}

#[test]
fn a_handle_does_not_outlive_its_process() {
    let disk = FakeDisk::default();
    let file = disk.open("file").unwrap();
    file.write_at(0, b"x").unwrap();
    disk.kill(&mut |_| 0);
    assert!(file.write_at(0, b"y").is_err() && file.len().is_err());
    assert_eq!(disk.open("file").unwrap().len().unwrap(), 1);
}

#[test]
fn without_power_every_call_fails_until_the_power_loss() {
    let disk = FakeDisk::default();
    let file = disk.open("file").unwrap();
    disk.power_off_after(1);
    file.write_at(0, b"x").unwrap();
    assert!(file.write_at(1, b"y").is_err());
    assert!(file.read_at(0, &mut [0]).is_err() && disk.open("file").is_err());
    assert_eq!(disk.changes(), 2);
    disk.power_loss(&mut |_| 0);
    assert_eq!(disk.contents("file"), b"x");
    disk.open("file").unwrap().write_at(1, b"y").unwrap();
}

#[test]
fn failures_are_those_of_real_disks() {
    let disk = FakeDisk::default();
    let file = disk.open("file").unwrap();
    disk.sync_dir().unwrap();
    disk.fail(Some(Failure::Full));
    let full = file.write_at(0, b"abcd").unwrap_err();
    assert_eq!(full.kind(), io::ErrorKind::StorageFull);
    assert_eq!(disk.contents("file"), b"ab", "a part was taken");
    assert!(disk.open("other").is_err());
    disk.fail(Some(Failure::Sync));
    assert!(file.sync_data().is_err() && disk.sync_dir().is_err());
    disk.fail(Some(Failure::Lies));
    file.sync_data().unwrap();
    let left = disk.after_power_loss(&mut none);
    assert_eq!((left.contents("file").len(), disk.contents("file").len()), (0, 2));
    disk.fail(None);
    file.sync_data().unwrap();
    assert_eq!(disk.after_power_loss(&mut none).contents("file"), b"ab");
}
