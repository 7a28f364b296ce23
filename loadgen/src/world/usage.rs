//! What the processes of a run use of the machine, every second: the cluster's, and this one.
//!
//! From `/proc` (proc(5)); a system without it says nothing, and then nothing is recorded.

use crate::limits::disk::DiskProbe;
use crate::slices::THREAD as SLICE;
use crate::world::Ids;
use crate::world::family::family;
use crate::world::whole::Whole;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::watch;
use verify::history::What;
use verify::history::event::{GENERATOR, Usage};
use workload::recorder::Recorder;

/// How often processes are looked at.
const EVERY: Duration = Duration::from_secs(1);
/// Looks at processes for one at their data, which costs more.
const DATA_ONE_IN: u32 = 5;
/// The unit of CPU time in `/proc/PID/stat`: `USER_HZ` is 100 on every architecture that we know.
pub(super) const TICK_US: u64 = 10_000;

/// Looks again and again, on a thread of its own, until it is ended.
pub struct Sampler {
    end: mpsc::Sender<()>,
    thread: JoinHandle<()>,
}

impl Sampler {
    /// Begins with this process and those of `ids`; each has its data in the folder of its name in `data`.
    pub fn start(
        ids: Option<watch::Receiver<Ids>>,
        data: Option<PathBuf>,
        recorder: Arc<dyn Recorder>,
    ) -> Self {
        let (end, ended) = mpsc::channel();
        let own: (Arc<str>, u32) = (GENERATOR.into(), std::process::id());
        // This process may have made runs before this one.
        let before_us = Used::of_one(Path::new("/proc"), own.1).map_or(0, |used| used.cpu_us);
        let (mut lives, mut whole) = (Lives::default(), Whole::default());
        let probe = data.as_deref().and_then(DiskProbe::start);
        let mut look = move |with_data: bool| {
            let nodes = ids.iter().flat_map(|ids| ids.borrow().clone());
            for (name, id) in nodes.chain([own.clone()]) {
                let is_own = id == own.1;
                // Ours has started all the others.
                let used = if is_own { Used::of_one } else { Used::of_family };
                let Some(mut used) = used(Path::new("/proc"), id) else { continue };
                if is_own {
                    used.cpu_us = used.cpu_us.saturating_sub(before_us);
                }
                used.cpu_us = lives.in_all(&name, id, used.cpu_us);
                let data = data.as_ref().filter(|_| with_data && *name != *GENERATOR);
                let disk_bytes = data.and_then(|data| bytes_below(&data.join(&*name)));
                let Used { cpu_us, memory_bytes, open_files } = used;
                let process = name;
                let [disk_wait_us, disk_stalled_us] = [None; 2];
                recorder.record(What::Usage(Usage {
                    process,
                    cpu_us,
                    memory_bytes,
                    open_files,
                    disk_bytes,
                    disk_wait_us,
                    disk_stalled_us,
                    processors: None,
                }));
            }
            if let Some(usage) = whole.look(Path::new("/proc")) {
                let disk_stalled_us = probe.as_ref().map(DiskProbe::stalled_us);
                recorder.record(What::Usage(Usage { disk_stalled_us, ..usage }));
            }
        };
        let thread = crate::run::thread("usage", move || {
            for number in 0.. {
                look(number % DATA_ONE_IN == 0);
                if ended.recv_timeout(EVERY) != Err(RecvTimeoutError::Timeout) {
                    break;
                }
            }
            look(true);
        });
        Self { end, thread }
    }

    /// Looks once more, and ends.
    pub fn end(self) {
        drop(self.end);
        // What it could not record is missing, and nothing else.
        let _ = self.thread.join();
    }
}

/// CPU time over all lives of a process: the system counts from nothing for each of them.
#[derive(Default)]
struct Lives(BTreeMap<Arc<str>, Life>);

#[derive(Clone, Copy, Default)]
struct Life {
    id: u32,
    /// Of the earlier lives, as far as it was seen.
    before_us: u64,
    now_us: u64,
}

impl Lives {
    fn in_all(&mut self, name: &Arc<str>, id: u32, cpu_us: u64) -> u64 {
        let life = self.0.entry(name.clone()).or_default();
        if life.id != id {
            *life = Life { id, before_us: life.before_us + life.now_us, now_us: 0 };
        }
        life.now_us = cpu_us;
        life.before_us + cpu_us
    }
}

/// What one process uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Used {
    /// User and system time since it began.
    cpu_us: u64,
    /// Resident memory.
    memory_bytes: u64,
    /// Open descriptors.
    open_files: u64,
}

impl Used {
    /// Of a process and all that it has started. Memory that they share counts for each of them.
    fn of_family(proc: &Path, id: u32) -> Option<Self> {
        let all = family(proc, id).into_iter().filter_map(|id| Self::read(proc, id, true));
        all.reduce(|a, b| Self {
            cpu_us: a.cpu_us + b.cpu_us,
            memory_bytes: a.memory_bytes + b.memory_bytes,
            open_files: a.open_files + b.open_files,
        })
    }

    /// Of one process.
    fn of_one(proc: &Path, id: u32) -> Option<Self> {
        Self::read(proc, id, false)
    }

    /// Of one process; `with_ended`: and the time of what it has started and seen to its end.
    fn read(proc: &Path, id: u32, with_ended: bool) -> Option<Self> {
        let folder = proc.join(id.to_string());
        let stat = std::fs::read_to_string(folder.join("stat")).ok()?;
        let status = std::fs::read_to_string(folder.join("status")).ok()?;
        Some(Self {
            cpu_us: cpu_us(&stat, with_ended)?,
            // A process that has just ended has none any more.
            memory_bytes: memory_bytes(&status)?,
            open_files: open_files(&folder.join("fd")) + in_tables_of_slices(&folder.join("task")),
        })
    }
}

/// `utime` and `stime`, the 14th and 15th field, or with `cutime` and `cstime` behind them, which children
/// leave it when they have ended; the second field may hold blanks.
fn cpu_us(stat: &str, with_ended: bool) -> Option<u64> {
    let (_, behind) = stat.rsplit_once(") ")?;
    let fields = if with_ended { 4 } else { 2 };
    let ticks = behind.split_whitespace().skip(11).take(fields);
    let ticks: Vec<u64> = ticks.map(|field| field.parse().ok()).collect::<Option<_>>()?;
    (ticks.len() == fields).then(|| ticks.into_iter().sum::<u64>() * TICK_US)
}

fn memory_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024)
}

/// Those of the threads that have tables of their own: see `slices`.
fn in_tables_of_slices(tasks: &Path) -> u64 {
    let Ok(tasks) = std::fs::read_dir(tasks) else { return 0 };
    let of_slice = |task: &PathBuf| {
        std::fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim() == SLICE)
    };
    let slices = tasks.flatten().map(|task| task.path()).filter(of_slice);
    slices.map(|task| open_files(&task.join("fd"))).sum()
}

/// The size of the folder since Linux 6.2; before that it is 0, and they have to be counted.
fn open_files(folder: &Path) -> u64 {
    let told = std::fs::metadata(folder).map_or(0, |folder| folder.len());
    if told > 0 { told } else { std::fs::read_dir(folder).map_or(0, |files| files.count() as u64) }
}

/// Bytes of all files in a folder and below; nothing if there is no such folder. Files that vanish
/// meanwhile count for nothing.
fn bytes_below(folder: &Path) -> Option<u64> {
    let entries = std::fs::read_dir(folder).ok()?;
    let bytes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(found) if found.is_dir() => bytes_below(&entry.path()).unwrap_or(0),
        Ok(found) => found.len(),
        Err(_) => 0,
    });
    Some(bytes.sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_is_read() {
        let stat = "7 (a (b) c) S 1 7 7 0 -1 4194304 99 0 0 0 125 75 0 0 20 0 9 0 62593 31 413";
        assert_eq!(cpu_us(stat, false), Some(2_000_000));
        assert_eq!(cpu_us(&stat.replace(" 75 0 0", " 75 3 4"), true), Some(2_070_000));
        assert_eq!(cpu_us("7 (a) Z 1", false), None);
        assert_eq!(memory_bytes("Name:\tfracas\nVmRSS:\t    1652 kB\n"), Some(1652 * 1024));
        assert_eq!(memory_bytes("Name:\tfracas\n"), None, "it has ended");
        let own = Used::of_one(Path::new("/proc"), std::process::id()).unwrap();
        assert!(own.memory_bytes > 100_000 && own.open_files > 2, "{own:?}");
    }

    #[test]
    fn cpu_time_goes_on_over_the_lives_of_a_process() {
        let (mut lives, store) = (Lives::default(), "store-1".into());
        let looks = [(7, 10), (7, 30), (9, 5), (9, 8), (11, 1)];
        let all: Vec<u64> = looks.map(|(id, cpu)| lives.in_all(&store, id, cpu)).to_vec();
        assert_eq!(all, [10, 30, 35, 38, 39]);
        assert_eq!(lives.in_all(&"store-2".into(), 8, 4), 4);
    }

    #[test]
    fn bytes_are_those_of_all_files_below() {
        let folder = std::env::temp_dir().join(format!("fracas-bytes-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("deep")).unwrap();
        std::fs::write(folder.join("a"), "12345").unwrap();
        std::fs::write(folder.join("deep/b"), "123").unwrap();
        assert_eq!(bytes_below(&folder), Some(8));
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(bytes_below(&folder), None);
    }
}
