//! The number of this life of the gateway: higher than that of any earlier life.
//!
//! The wall clock alone would not do, since it may be set back; so the last number is kept on the disk.

use ports::{Disk, Machine};
use protocol::Incarnation;
use std::io;

const FILE: &str = "incarnation";

/// A new life. Without a disk the wall clock must do.
pub async fn begin(machine: &Machine) -> Incarnation {
    // Milliseconds and eight random bits: below 2^53 for some thousand years.
    let clock = (machine.clock.now_ms() << 8) | machine.entropy.below(256);
    let disk = machine.disk.clone();
    let worker = machine.tasks.worker("incarnation");
    let number = ports::tasks::run_on(&*worker, move || next(&*disk, clock)).await;
    Incarnation(number.and_then(Result::ok).unwrap_or(clock))
}

fn next(disk: &dyn Disk, clock: u64) -> io::Result<u64> {
    let file = disk.open(FILE)?;
    let mut bytes = [0; 16];
    // The number and its complement: a torn or empty file holds no such pair.
    let last = match file.read_at(0, &mut bytes) {
        Ok(()) => {
            let (number, check) = bytes.split_at(8);
            let of = |bytes: &[u8]| bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
            Some(of(number)).filter(|number| *number == !of(check))
        }
        Err(_) => None,
    };
    let number = clock.max(last.map_or(0, |last| last + 1));
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    bytes[8..].copy_from_slice(&(!number).to_be_bytes());
    file.write_at(0, &bytes)?;
    file.sync_data()?;
    disk.sync_dir()?;
    Ok(number)
}
