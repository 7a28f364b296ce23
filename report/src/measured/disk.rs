//! Whether a slow run may be slow because the disk stalled, for no reason of the cluster's.

use super::{Look, Measured};
use verify::history::event::{MACHINE, Phase};

impl Measured {
    /// The share of the time since the load began in which the disk under the cluster's data stalled; `None`: it
    /// did not, or nobody looked.
    pub fn disk_stalled(&self) -> Option<f64> {
        let load = self.phases.iter().find(|mark| mark.phase == Phase::Load)?.at_us;
        let machine = self.processes.iter().find(|used| *used.process == *MACHINE)?;
        let mut looks = machine.looks.iter().filter(|look| look.at_us >= load);
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
    fn only_what_stalled_since_the_load_began_counts() {
        assert_eq!(stalled(None).disk_stalled(), None);
        assert_eq!(stalled(Some(0)).disk_stalled(), None);
        assert_eq!(stalled(Some(200)).disk_stalled(), Some(0.01));
    }
}
