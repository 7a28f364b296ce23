//! Whether a slow run may be slow because the disk stalled, for no reason of the cluster's.

use super::{Look, Measured};
use std::ops::Range;
use verify::history::event::MACHINE;

impl Measured {
    /// The share of the time in which operations were sent that the disk under the cluster's data stalled; `None`:
    /// it did not, or nobody looked.
    pub fn disk_stalled(&self) -> Option<f64> {
        self.disk_stalled_in(&self.sending_us()?)
    }

    /// The same of a part of that time.
    pub(super) fn disk_stalled_in(&self, part: &Range<u64>) -> Option<f64> {
        let machine = self.processes.iter().find(|used| *used.process == *MACHINE)?;
        let mut looks = machine.looks.iter().filter(|look| part.contains(&look.at_us));
        let (first, last) = (looks.next()?, looks.next_back()?);
        let stalled = |look: &Look| look.disk_stalled_us;
        let rise = stalled(last)?.saturating_sub(stalled(first)?);
        let time = last.at_us.saturating_sub(first.at_us);
        (rise > 0 && time > 0).then(|| rise as f64 / time as f64)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::measured::{PhaseMark, Used};
    use verify::history::event::Phase;

    /// A load from second 10 to 30, in which the disk stalled for so many milliseconds.
    pub(crate) fn stalled(ms: Option<u64>) -> Measured {
        let look = |second: u64| Look {
            at_us: second * 1_000_000,
            cpu_us: 0,
            memory_bytes: 0,
            open_files: 0,
            disk_bytes: None,
            disk_wait_us: None,
            // Before the load it stalled as well.
            disk_stalled_us: ms.map(|ms| 7_000 + if second < 20 { 0 } else { ms * 1_000 }),
        };
        let looks = (0..=30).map(look).collect();
        let machine = Used { process: MACHINE.into(), looks, ..Used::default() };
        let phases = [(Phase::SetUp, 0), (Phase::Load, 10), (Phase::End, 30)];
        let phases = phases.map(|(phase, s)| PhaseMark { phase, at_us: s * 1_000_000 }).to_vec();
        Measured { processes: vec![machine], phases, ended_us: 30_000_000, ..Measured::default() }
    }

    #[test]
    fn only_what_stalled_while_operations_were_sent_counts() {
        assert_eq!(stalled(None).disk_stalled(), None);
        assert_eq!(stalled(Some(0)).disk_stalled(), None);
        assert_eq!(stalled(Some(200)).disk_stalled(), Some(0.01));
        let settles = |s: u64| {
            let mut measured = stalled(Some(200));
            measured.phases.push(PhaseMark { phase: Phase::Settle, at_us: s * 1_000_000 });
            measured.disk_stalled()
        };
        assert_eq!(settles(21), Some(0.02), "in ten seconds of sending, not in twenty");
        assert_eq!(settles(20), None);
    }
}
