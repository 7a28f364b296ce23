//! What everything on this machine uses of it, the cluster, the generator and other work: from `/proc`
//! (proc(5)), and how long its tasks wait for a disk, from the kernel's pressure stall information.

use super::usage::TICK_US;
use std::path::Path;
use verify::history::event::{MACHINE, Usage};

/// Remembers where the CPU time began, which the system counts from its start.
#[derive(Default)]
pub struct Whole {
    began_us: Option<u64>,
}

impl Whole {
    /// A look; `None` where the system does not say.
    pub fn look(&mut self, proc: &Path) -> Option<Usage> {
        let read = |name: &str| std::fs::read_to_string(proc.join(name)).ok();
        let stat = read("stat")?;
        let cpu_us = busy_us(&stat)?;
        let began_us = *self.began_us.get_or_insert(cpu_us);
        Some(Usage {
            process: MACHINE.into(),
            cpu_us: cpu_us.saturating_sub(began_us),
            memory_bytes: used_bytes(&read("meminfo")?)?,
            open_files: first_number(&read("sys/fs/file-nr")?)?,
            disk_bytes: None,
            disk_wait_us: read("pressure/io").and_then(|told| waited_us(&told)),
            disk_stalled_us: None,
            processors: Some(processors(&stat)),
        })
    }
}

/// The time of all processors that were not idle, nor waiting for a disk.
fn busy_us(stat: &str) -> Option<u64> {
    let all = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Vec<u64> = all.split_whitespace().map_while(|field| field.parse().ok()).collect();
    // user, nice, system, idle, iowait, irq, softirq, steal; guests are part of user.
    let busy = [0, 1, 2, 5, 6, 7].map(|field| ticks.get(field).copied());
    Some(busy.into_iter().sum::<Option<u64>>()? * TICK_US)
}

fn processors(stat: &str) -> u64 {
    let is_one = |line: &&str| line.strip_prefix("cpu").is_some_and(|rest| !rest.starts_with(' '));
    stat.lines().filter(is_one).count() as u64
}

/// What is not available for others.
fn used_bytes(meminfo: &str) -> Option<u64> {
    let kibibytes = |name: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        first_number(line)
    };
    Some(kibibytes("MemTotal:")?.saturating_sub(kibibytes("MemAvailable:")?) * 1024)
}

/// `some ... total=`: microseconds in which at least one task waited.
fn waited_us(pressure: &str) -> Option<u64> {
    let some = pressure.lines().find_map(|line| line.strip_prefix("some "))?;
    some.split_whitespace().find_map(|field| field.strip_prefix("total="))?.parse().ok()
}

fn first_number(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_is_read() {
        let stat = "cpu  10 2 30 4000 500 6 7 8 90 1\ncpu0 1 1 1 1 1 1 1 1 1 1\n";
        assert_eq!((busy_us(stat), processors(stat)), (Some(63 * TICK_US), 1));
        assert_eq!(busy_us("cpu  10 2 30\n"), None);
        let meminfo = "MemTotal:  2000 kB\nMemFree:  100 kB\nMemAvailable:  1500 kB\n";
        assert_eq!(used_bytes(meminfo), Some(500 * 1024));
        let pressure = "some avg10=0.27 avg60=1.97 avg300=1.58 total=860440250\n\
                        full avg10=0.01 avg60=0.19 avg300=0.35 total=182951263\n";
        assert_eq!(waited_us(pressure), Some(860_440_250));
        assert_eq!(waited_us("full avg10=0.01 total=7\n"), None);
    }

    #[test]
    fn cpu_time_counts_from_the_first_look() {
        let mut whole = Whole::default();
        let first = whole.look(Path::new("/proc")).unwrap();
        assert_eq!((&*first.process, first.cpu_us), ("machine", 0));
        assert!(first.memory_bytes > 1_000_000 && first.open_files > 0, "{first:?}");
        assert!(whole.look(Path::new("/nowhere")).is_none());
    }
}
