//! Whether a slow run may be slow because other work had the processors of its machine.

use super::{Look, Measured, Used};
use std::ops::Range;
use verify::history::event::{GENERATOR, MACHINE};

/// From this share of them on, processors are used up.
pub const USED_UP: f64 = 0.9;
/// A second in which other work has this share of the processors, and all are used up, is no measure of a cluster.
const OTHER_WORK: f64 = 0.25;

impl Measured {
    /// The share of the time in which operations were sent that the processors were used up, and by other work not
    /// least; `None`: they never were, or nobody looked at all of the run. What a cluster used that somebody else has started
    /// would look like other work.
    pub fn crowded(&self) -> Option<f64> {
        self.crowded_in(&self.sending_us()?)
    }

    /// The same of a part of that time.
    pub(super) fn crowded_in(&self, part: &Range<u64>) -> Option<f64> {
        let is_ours = |used: &&Used| *used.process != *MACHINE;
        let of_generator = |used: &Used| used.process.starts_with(GENERATOR);
        let ours = || self.processes.iter().filter(is_ours);
        // Several generators look at machines of their own.
        let generators = ours().filter(|used| of_generator(used)).count();
        if generators != 1 || ours().all(of_generator) {
            return None;
        }
        let machine = self.processes.iter().find(|used| !is_ours(used))?;
        let processors = machine.processors? as f64;
        let is_of = |look: &&Look| part.contains(&look.at_us);
        let looks: Vec<_> = machine.looks.iter().filter(is_of).collect();
        let marks: Vec<u64> = looks.iter().map(|look| look.at_us).collect();
        let mut used_by_us = vec![0.0; marks.len().saturating_sub(1)];
        ours().for_each(|used| spread(used, &marks, &mut used_by_us));
        let (mut time, mut crowded) = (0, 0);
        for (pair, ours) in looks.windows(2).zip(used_by_us) {
            let us = pair[1].at_us - pair[0].at_us;
            let busy = pair[1].cpu_us.saturating_sub(pair[0].cpu_us) as f64;
            let all = processors * us as f64;
            time += us;
            if busy >= all * USED_UP && busy - ours >= all * OTHER_WORK {
                crowded += us;
            }
        }
        (crowded > 0).then(|| crowded as f64 / time as f64)
    }
}

/// Adds what a process used between these moments; it used it evenly from one look at it to the next.
fn spread(used: &Used, marks: &[u64], ours: &mut [f64]) {
    for pair in used.looks.windows(2) {
        let (from, to) = (pair[0].at_us, pair[1].at_us);
        let rate = pair[1].cpu_us.saturating_sub(pair[0].cpu_us) as f64 / (to - from).max(1) as f64;
        let first = marks.partition_point(|mark| *mark <= from).saturating_sub(1);
        for (index, sum) in ours.iter_mut().enumerate().skip(first) {
            let (begins, ends) = (marks[index], marks[index + 1]);
            if begins >= to {
                break;
            }
            *sum += rate * ends.min(to).saturating_sub(begins.max(from)) as f64;
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::measured::PhaseMark;
    use verify::history::event::Phase;

    /// A load from second 10 to 30 on two processors, of which the store keeps half a one busy; other work has one and
    /// a half for so many seconds.
    pub(crate) fn crowded(seconds: u64) -> Measured {
        let used = |process: &str, processors, cpu_us: &dyn Fn(u64) -> u64| {
            let look = |second: u64| Look {
                at_us: second * 1_000_000,
                cpu_us: cpu_us(second),
                memory_bytes: 0,
                open_files: 0,
                disk_bytes: None,
                disk_wait_us: None,
                disk_stalled_us: None,
            };
            let looks = (0..=30).map(look).collect();
            Used { process: process.into(), processors, looks, ..Used::default() }
        };
        let of_store = |second| second * 500_000;
        let of_all = |second: u64| {
            // Before the load they are busy with other work as well.
            let others = second.min(5) + second.saturating_sub(10).min(seconds);
            of_store(second) + others * 1_500_000
        };
        let processes = vec![
            used("store-1", None, &of_store),
            used(MACHINE, Some(2), &of_all),
            used(GENERATOR, None, &|_| 0),
        ];
        let phases = [(Phase::SetUp, 0), (Phase::Load, 10), (Phase::End, 30)];
        let phases = phases.map(|(phase, s)| PhaseMark { phase, at_us: s * 1_000_000 }).to_vec();
        Measured { processes, phases, ended_us: 30_000_000, ..Measured::default() }
    }

    #[test]
    fn seconds_in_which_other_work_had_the_processors_are_told() {
        assert_eq!(crowded(0).crowded(), None);
        assert_eq!(crowded(1).crowded(), Some(0.05));
        assert_eq!(crowded(20).crowded(), Some(1.0));
        let with_room = |seconds| {
            let mut measured = crowded(seconds);
            measured.processes[1].processors = Some(4);
            measured
        };
        assert_eq!(with_room(20).crowded(), None);
        let mut unsaid = crowded(20);
        unsaid.processes[1].processors = None;
        assert_eq!(unsaid.crowded(), None);
    }

    #[test]
    fn a_cluster_that_nobody_looks_at_is_no_other_work() {
        let mut given = crowded(20);
        given.processes.remove(0);
        assert_eq!(given.crowded(), None);
        let mut several = crowded(20);
        several.processes.push(Used { process: "generator-2".into(), ..Used::default() });
        assert_eq!(several.crowded(), None);
        several.processes.truncate(2);
        assert_eq!(several.crowded(), None, "the generator was not seen");
    }

    #[test]
    fn a_cluster_that_uses_its_machine_up_waits_for_itself() {
        let mut measured = crowded(20);
        for look in &mut measured.processes[0].looks {
            look.cpu_us = look.at_us * 8 / 5;
        }
        assert_eq!(measured.crowded(), None, "0.4 of 2 are other work");
        for look in &mut measured.processes[0].looks {
            look.cpu_us = look.at_us * 14 / 10;
            // Others look at other moments.
            look.at_us += 400_000;
        }
        assert!(measured.crowded().is_some_and(|share| share > 0.9), "0.6 of 2 are");
    }
}
