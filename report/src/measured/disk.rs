//! Whether a slow run may be slow because the disk stalled, for no reason of the cluster's.

use super::{Look, Measured};
use verify::history::event::{MACHINE, Phase};

/// What waits for a disk that stalls is worked off afterwards, and what comes meanwhile waits, too: a stall delays
/// so many times as much as happens while it lasts.
const DELAYS: f64 = 3.0;

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

    /// Why nobody knows whether this share of the operations was late because of the cluster, in a sentence.
    pub fn disk_may_explain(&self, late: f64) -> Option<String> {
        let stalled = self.disk_stalled().filter(|stalled| stalled * DELAYS >= late)?;
        Some(format!(
            "the disk stalled for {:.1} % of the time, for no reason of the cluster's",
            stalled * 100.0
        ))
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
    fn a_stall_explains_what_it_may_have_delayed_and_no_more() {
        assert_eq!(stalled(None).disk_stalled(), None);
        assert_eq!(stalled(Some(0)).disk_may_explain(0.0), None);
        let short = stalled(Some(200));
        assert_eq!(short.disk_stalled(), Some(0.01));
        let told = short.disk_may_explain(0.02).expect("1 % of the time");
        assert!(told.starts_with("the disk stalled for 1.0 % of the time"), "{told}");
        assert_eq!(short.disk_may_explain(0.04), None);
    }
}
