//! Whatever happens to one file of a log: it is refused and left as it is, or nothing is missing.

use super::tests::{FORMAT, Record, append, opened};
use super::*;
use fakes::{FakeDisk, Rot};
use protocol::mix::SplitMix;

/// A log with closed segments, given up ones, and a newest one.
fn log(seed: u64) -> FakeDisk {
    let disk = FakeDisk::default();
    let (mut log, _) = opened(&disk, true).unwrap();
    append(&mut log, 0..12);
    if seed.is_multiple_of(2) {
        let through = log.rotate();
        append(&mut log, 12..15);
        log.remove_through(through).unwrap();
    }
    append(&mut log, 15..30 + seed);
    disk
}

#[test]
fn no_damage_costs_a_record_in_silence() {
    let (mut refused, mut harmless) = (0, 0);
    for seed in 0..6 {
        let disk = log(seed);
        let whole = opened(&disk, true).unwrap().1;
        for rot in Rot::every_kind(&disk, 600, seed) {
            let Some(rotten) = rot.befalls(&disk) else { continue };
            let before = rotten.everything();
            let (checked, read) = check::<Record>(&rotten, FORMAT);
            match opened(&rotten, true) {
                Ok((_, numbers)) => {
                    assert_eq!(numbers, whole, "{rot:?}");
                    assert_eq!(checked.records, whole.len() as u64, "{rot:?}");
                    harmless += 1;
                }
                Err(error) => {
                    assert!(!matches!(error, LogError::Disk { .. }), "{rot:?}: {error}");
                    assert!(rotten.everything() == before, "{rot:?} is left as it is");
                    assert_eq!(read.unwrap_err().to_string(), error.to_string());
                    refused += 1;
                }
            }
        }
    }
    assert!(refused > 5_000 && harmless > 50, "{refused} refused, {harmless} harmless");
}

/// Any moment of a power loss, any of what was under way: what was confirmed is there, and nothing is
/// called damaged.
#[test]
fn no_power_loss_is_called_damage() {
    for seed in 0..400 {
        let mut random = SplitMix::new(seed);
        let disk = FakeDisk::default();
        disk.power_off_after(random.below(120));
        let mut confirmed = 0;
        if let Ok((mut log, _)) = opened(&disk, true) {
            for n in 0..40 {
                let sent = log.append(&[super::tests::record(n)], Force::AsConfigured);
                if sent.is_err() {
                    break;
                }
                confirmed = n + 1;
                if n == 20 {
                    let through = log.rotate().saturating_sub(1);
                    let _ = log.remove_through(through);
                }
            }
        }
        let left = disk.after_power_loss(&mut |bound| random.below(bound));
        left.power_off_after(random.below(20));
        let _ = opened(&left, true);
        let left = left.after_power_loss(&mut |bound| random.below(bound));
        let (_, numbers) =
            opened(&left, true).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let last = numbers.last().map_or(0, |last| last + 1);
        assert!(
            last >= confirmed && last <= confirmed + 1,
            "seed {seed}: {confirmed}, {numbers:?}"
        );
        let first = numbers.first().copied().unwrap_or(0);
        assert!(numbers.into_iter().eq(first..last), "seed {seed}");
    }
}
