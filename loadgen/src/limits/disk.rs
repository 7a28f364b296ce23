//! Whether the disk under a cluster's data stalls for reasons that are not the cluster's: a page is written and
//! synced beside it, again and again, on a thread of its own.
//!
//! A disk that is slow, or that the cluster keeps busy, is slow for every page, and nothing is found: what the
//! cluster makes of such a disk is its own affair. A stall is an outlier: a sync that takes many times as long as
//! they usually do in this run, while the device writes little. On a virtual machine that is somebody else's work
//! on the same hardware, or the hardware's own; it shows in no counter of this system. Without a device in
//! `/proc/diskstats` (tmpfs, overlays) nothing is measured.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::time::Instant;

/// Between two probes, at least and at most. Of a stall that begins between them the first part is not seen.
const EVERY_LEAST: Duration = Duration::from_millis(50);
const EVERY_MOST: Duration = Duration::from_millis(200);
/// Of the disk's time probes take one part in so many, where they can.
const PART: u32 = 20;
/// What is written: a page.
const PAGE: usize = 4096;
/// The file, in the folder of the data.
const FILE: &str = "disk-probe";
/// A sync that takes no longer is no stall.
const STALL: Duration = Duration::from_millis(100);
/// Nor one that takes no more than so many times what they usually take.
const OUTLIER: u32 = 20;
/// The latest syncs, which say what is usual; and how many it takes to say so.
const USUAL_OF: usize = 256;
const USUAL_FROM: usize = 20;
/// Nor one of more than so many of the latest of this many: that disk is slow, and the cluster may have made it so.
const FEW: usize = 5;
const LATELY: usize = 25;
/// A device that wrote more than this meanwhile may have been kept busy by the cluster: a slow disk writes as much
/// in the least stall.
const LITTLE: u64 = 8 * 1024 * 1024;
/// Bytes of a sector in `/proc/diskstats`.
const SECTOR: u64 = 512;

/// What the syncs so far say.
#[derive(Debug, Default)]
struct Stalls {
    latest: VecDeque<Duration>,
}

impl Stalls {
    /// A sync took so long, while the device wrote so many bytes: whether it was a stall.
    fn is_stall(&mut self, took: Duration, written: u64) -> bool {
        let usual = self.usual();
        self.latest.push_back(took);
        if self.latest.len() > USUAL_OF {
            self.latest.pop_front();
        }
        let Some(slow) = usual.map(|usual| STALL.max(usual * OUTLIER)) else { return false };
        let lately = self.latest.iter().rev().take(LATELY).filter(|took| **took > slow).count();
        took > slow && lately <= FEW && written <= LITTLE
    }

    /// Until the next probe: a slow disk is asked less often.
    fn pause(&self) -> Duration {
        let pause = self.usual().map_or(EVERY_MOST, |usual| usual * PART);
        pause.clamp(EVERY_LEAST, EVERY_MOST)
    }

    fn usual(&self) -> Option<Duration> {
        if self.latest.len() < USUAL_FROM {
            return None;
        }
        let mut sorted: Vec<Duration> = self.latest.iter().copied().collect();
        let middle = sorted.len() / 2;
        Some(*sorted.select_nth_unstable(middle).1)
    }
}

/// Probes a disk until it is dropped.
pub struct DiskProbe {
    stalled_us: Arc<AtomicU64>,
    end: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl DiskProbe {
    /// Of the disk under this folder, which may have to be made yet; nothing where it cannot be measured.
    pub fn start(folder: &Path) -> Option<Self> {
        let disk = Disk::open(folder).ok()?;
        let stalled_us = Arc::new(AtomicU64::new(0));
        let (end, ended) = mpsc::channel();
        let told = stalled_us.clone();
        let thread = crate::run::thread("disk probe", move || {
            let mut stalls = Stalls::default();
            while let Ok((took, written)) = disk.probe() {
                if stalls.is_stall(took, written) {
                    told.fetch_add(took.as_micros() as u64, Ordering::Relaxed);
                }
                if ended.recv_timeout(stalls.pause()) != Err(RecvTimeoutError::Timeout) {
                    break;
                }
            }
        });
        Some(Self { stalled_us, end: Some(end), thread: Some(thread) })
    }

    /// Since its start, how long the disk has stalled.
    pub fn stalled_us(&self) -> u64 {
        self.stalled_us.load(Ordering::Relaxed)
    }
}

impl Drop for DiskProbe {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // It has nothing to tell.
            let _ = thread.join();
        }
    }
}

struct Disk {
    file: File,
    path: PathBuf,
    /// As `/proc/diskstats` names it.
    device: (u64, u64),
}

impl Disk {
    fn open(folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join(FILE);
        let file = File::create(&path)?;
        let number = file.metadata()?.dev();
        let device = (nix::sys::stat::major(number), nix::sys::stat::minor(number));
        let disk = Self { file, path, device };
        // Its place on the disk is found once.
        disk.file.write_all_at(&[0; PAGE], 0)?;
        disk.file.sync_all()?;
        disk.written()?;
        Ok(disk)
    }

    /// How long a sync takes, and how many bytes the device wrote since it began.
    fn probe(&self) -> io::Result<(Duration, u64)> {
        let before = self.written()?;
        let began = Instant::now();
        self.file.write_all_at(&[1; PAGE], 0)?;
        self.file.sync_data()?;
        let took = began.elapsed();
        Ok((took, self.written()?.saturating_sub(before)))
    }

    /// Bytes that the device has written since the system started.
    fn written(&self) -> io::Result<u64> {
        let stats = std::fs::read_to_string("/proc/diskstats")?;
        let sectors = sectors_written(&stats, self.device);
        sectors.map(|sectors| sectors * SECTOR).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // A file that stays does no harm.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The tenth field: sectors written (Documentation/admin-guide/iostats.rst).
fn sectors_written(stats: &str, (major, minor): (u64, u64)) -> Option<u64> {
    stats.lines().find_map(|line| {
        let mut fields = line.split_whitespace();
        let is_it = fields.next()?.parse() == Ok(major) && fields.next()?.parse() == Ok(minor);
        is_it.then(|| fields.nth(7)?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Which of these syncs are stalls.
    fn stalls(syncs: impl IntoIterator<Item = (Duration, u64)>) -> Vec<usize> {
        let mut stalls = Stalls::default();
        let told = syncs.into_iter().map(|(took, written)| stalls.is_stall(took, written));
        told.enumerate().filter_map(|(at, is)| is.then_some(at)).collect()
    }

    #[test]
    fn an_outlier_on_an_idle_device_is_a_stall() {
        let usual = std::iter::repeat_n((ms(1), PAGE as u64), 30);
        let after = [(ms(300), 0), (ms(100), 0), (ms(150), LITTLE), (ms(400), LITTLE + 1)];
        assert_eq!(stalls(usual.chain(after)), [30, 32], "the last one wrote much itself");
        assert_eq!(stalls([(ms(300), 0); 3]), [0; 0], "nobody knows yet what is usual");
    }

    #[test]
    fn a_disk_that_is_always_slow_does_not_stall() {
        let slow = std::iter::repeat_n((ms(40), 0), 30);
        assert_eq!(stalls(slow.clone().chain([(ms(300), 0)])), [0; 0]);
        assert_eq!(stalls(slow.chain([(ms(900), 0)])), [30]);
        // It becomes slow under load, and stays so: that is its own pace after a second.
        let turned = std::iter::repeat_n((ms(1), 0), 100);
        let turned = turned.chain(std::iter::repeat_n((ms(200), 0), 300));
        assert_eq!(stalls(turned), [100, 101, 102, 103, 104]);
    }

    #[test]
    fn a_slow_disk_is_asked_less_often() {
        for (sync, pause) in [(0, 50), (4, 80), (40, 200)] {
            let mut stalls = Stalls::default();
            assert_eq!(stalls.pause(), ms(200), "nobody knows yet what is usual");
            (0..USUAL_FROM).for_each(|_| assert!(!stalls.is_stall(ms(sync), 0)));
            assert_eq!(stalls.pause(), ms(pause));
        }
    }

    #[test]
    fn the_device_is_found_by_its_numbers() {
        let stats = " 254 0 vda 11 2 33 4 55 6 77 8 0 9 10\n 254 1 vda1 1 2 3 4 5 6 99 8 0 9 10\n";
        assert_eq!(sectors_written(stats, (254, 0)), Some(77));
        assert_eq!(sectors_written(stats, (254, 1)), Some(99));
        assert_eq!(sectors_written(stats, (8, 0)), None);
    }

    #[test]
    fn a_probe_leaves_nothing() {
        let folder = std::env::temp_dir().join(format!("fracas-probe-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        // Where there is no device, there is none.
        if let Some(probe) = DiskProbe::start(&folder) {
            assert_eq!(probe.stalled_us(), 0);
        }
        std::fs::remove_dir(&folder).unwrap();
    }
}
