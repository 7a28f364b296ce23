//! What the processes of a real run used.

use crate::measured::{Look, Used};
use std::sync::Arc;
use verify::history::event::Usage;

/// Processes that are followed, and looks at each: a day of seconds.
const PROCESSES_MAX: usize = 256;
const LOOKS_MAX: usize = 86_400;

/// All processes, in the order in which they were seen first.
#[derive(Default)]
pub(super) struct Processes(Vec<Used>);

impl Processes {
    /// A look at one of them.
    pub(super) fn seen(&mut self, at_us: u64, usage: &Usage) {
        let Usage { process, cpu_us, memory_bytes, open_files, disk_bytes, .. } = usage;
        let (cpu_us, memory_bytes, open_files) = (*cpu_us, *memory_bytes, *open_files);
        let known = self.0.iter().position(|used| used.process == *process);
        let used = match known {
            Some(index) => &mut self.0[index],
            None if self.0.len() < PROCESSES_MAX => {
                self.0.push(Used { process: process.clone(), ..Used::default() });
                self.0.last_mut().expect("it was just put there")
            }
            None => return,
        };
        used.cpu_us = used.cpu_us.max(cpu_us);
        used.memory_bytes_max = used.memory_bytes_max.max(memory_bytes);
        used.open_files_max = used.open_files_max.max(open_files);
        used.disk_bytes = disk_bytes.or(used.disk_bytes);
        used.processors = usage.processors.or(used.processors);
        if used.looks.len() < LOOKS_MAX {
            used.looks.push(Look {
                at_us,
                cpu_us,
                memory_bytes,
                open_files,
                disk_bytes: *disk_bytes,
                disk_wait_us: usage.disk_wait_us,
                disk_stalled_us: usage.disk_stalled_us,
            });
        }
    }

    /// The share of one processor that each used between the last two looks at it, in percent, and its
    /// memory.
    pub(super) fn now(&self) -> Vec<(Arc<str>, u64, u64)> {
        let share = |used: &Used| {
            let [.., earlier, last] = &used.looks[..] else { return None };
            let spent = last.cpu_us.saturating_sub(earlier.cpu_us) * 100;
            let percent = spent.checked_div(last.at_us.saturating_sub(earlier.at_us))?;
            Some((used.process.clone(), percent, last.memory_bytes))
        };
        self.0.iter().filter_map(share).collect()
    }

    pub(super) fn finish(self) -> Vec<Used> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_values_and_the_last_size_are_kept_for_each_process() {
        let mut processes = Processes::default();
        let usage = |process: &str, cpu_us, memory_bytes, open_files, disk_bytes| Usage {
            process: process.into(),
            cpu_us,
            memory_bytes,
            open_files,
            disk_bytes,
            disk_wait_us: None,
            disk_stalled_us: None,
            processors: None,
        };
        processes.seen(0, &usage("store-1", 5, 100, 9, Some(10)));
        processes.seen(1, &usage("generator", 7, 50, 4, None));
        processes.seen(1_000_000, &usage("store-1", 20, 300, 7, Some(8)));
        processes.seen(2_000_000, &usage("store-1", 400_020, 200, 8, None));
        assert_eq!(processes.now(), [("store-1".into(), 40, 200)]);
        let used = processes.finish();
        let names: Vec<&str> = used.iter().map(|used| &*used.process).collect();
        assert_eq!(names, ["store-1", "generator"]);
        let Used { cpu_us, memory_bytes_max, open_files_max, disk_bytes, looks, .. } = &used[0];
        assert_eq!((*cpu_us, *memory_bytes_max, *open_files_max), (400_020, 300, 9));
        assert_eq!((*disk_bytes, looks.len()), (Some(8), 3));
    }
}
