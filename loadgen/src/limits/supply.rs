//! What this machine has for a run: descriptors, local ports, memory, disk.

use nix::sys::statvfs::statvfs;
use std::path::Path;

/// Beyond this a run is about to be killed by the system.
const LAST_BYTES: u64 = 64 * 1024 * 1024;
/// Beyond this the cluster's next writes fail: a second of a fast run.
const LAST_DISK_BYTES: u64 = 4 * 1024 * 1024;

/// What there is; `None`: the system does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Supply {
    /// Descriptors of this process, and of those that it starts.
    pub open_files: Option<u64>,
    /// Local ports towards one address.
    pub ports: Option<u64>,
    /// Free bytes of memory.
    pub memory: Option<u64>,
    /// Free bytes of disk where a cluster that is started keeps its data.
    pub disk: Option<u64>,
}

/// Raises the soft limit of open files to the hard one, also for processes that are started later,
/// and tells what there is. `data`: where a cluster that is started will keep its data.
pub fn supply(data: Option<&Path>) -> Supply {
    Supply {
        open_files: real::descriptors::raise(),
        ports: ports(),
        memory: free_memory(),
        disk: data.and_then(free_disk),
    }
}

/// What is free where a folder is, or will be.
#[allow(clippy::useless_conversion, reason = "some systems count blocks in 32 bits")]
fn free_disk(folder: &Path) -> Option<u64> {
    let here = if folder.is_absolute() { folder } else { &Path::new(".").join(folder) };
    let there = here.ancestors().find(|folder| folder.exists())?;
    // A file system without blocks, such as /proc, does not say.
    let disk = statvfs(there).ok().filter(|disk| disk.blocks() > 0)?;
    Some(u64::from(disk.blocks_available()).saturating_mul(u64::from(disk.fragment_size())))
}

/// Free bytes of the disk of a folder, if it is as good as full.
pub fn disk_is_full(folder: &Path) -> Option<u64> {
    free_disk(folder).filter(|free| is_full(*free))
}

const fn is_full(free: u64) -> bool {
    free < LAST_DISK_BYTES
}

/// The size of the range from which ip(7) takes the ports of clients.
fn ports() -> Option<u64> {
    range(&std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?)
}

fn range(text: &str) -> Option<u64> {
    let mut bounds = text.split_whitespace().map(|bound| bound.parse::<u64>().ok());
    let (low, high) = (bounds.next()??, bounds.next()??);
    (high + 1).checked_sub(low)
}

/// What is free of the machine's memory, or what its control group (version 2) may use at most.
pub fn free_memory() -> Option<u64> {
    [available_now(), of_group("memory.max")].into_iter().flatten().min()
}

/// What is free to be swapped to.
pub fn free_swap() -> Option<u64> {
    [meminfo("SwapFree:"), of_group("memory.swap.max")].into_iter().flatten().min()
}

fn of_group(limit: &str) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/sys/fs/cgroup/{limit}")).ok()?;
    text.trim().parse().ok()
}

fn available_now() -> Option<u64> {
    meminfo("MemAvailable:")
}

fn meminfo(name: &str) -> Option<u64> {
    bytes_of(&std::fs::read_to_string("/proc/meminfo").ok()?, name)
}

/// A line of /proc/meminfo, as proc(5) has it.
fn bytes_of(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024)
}

/// Whether the memory is as good as used up.
pub fn memory_is_gone() -> bool {
    available_now().is_some_and(|free| free < LAST_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_is_read() {
        assert_eq!(range("32768\t60999\n"), Some(28_232));
        assert_eq!(range("5 4"), Some(0));
        assert_eq!(range("9 4"), None);
        assert_eq!(range(""), None);
        let meminfo = "MemTotal:       24000000 kB\nMemAvailable:   22000000 kB\n";
        assert_eq!(bytes_of(meminfo, "MemAvailable:"), Some(22_000_000 * 1024));
        assert_eq!(bytes_of(meminfo, "SwapFree:"), None);
        assert!(real::descriptors::raise().is_some_and(|files| files > 0));
    }

    #[test]
    fn the_disk_of_a_folder_that_is_not_there_yet_is_that_of_the_one_above() {
        let above = std::env::temp_dir();
        let free = free_disk(&above).expect("it is there");
        let below = free_disk(&above.join("fracas-not/yet/there")).expect("one above is there");
        // Others write meanwhile.
        assert!(free.abs_diff(below) < 1 << 30, "{free} {below}");
        assert!(free_disk(Path::new("fracas-not-yet-there")).is_some(), "the current folder");
        assert_eq!(free_disk(Path::new("/proc")), None, "nothing is written there");
        assert!(is_full(4 * 1024 * 1024 - 1) && !is_full(4 * 1024 * 1024));
    }
}
