//! Whether a slow run may be slow because of its machine, and not because of the cluster.

use super::Measured;
use std::ops::Range;
use verify::history::event::Phase;

/// What waits for a disk that stalls, or for a processor, is worked off afterwards, and what comes meanwhile waits,
/// too: it delays so many times as much as happens while it lasts.
const DELAYS: f64 = 3.0;

/// The share of the operations that bounds of latency are a matter of at least: a p99.
pub(crate) const SLOWEST: f64 = 0.01;

impl Measured {
    /// Whether the run ended because a bound cannot be met any more, and nothing but the cluster may be why.
    pub fn is_broken_for_certain(&self) -> bool {
        let is_excused =
            !self.totals.limits.is_empty() || self.machine_may_explain(SLOWEST).is_some();
        self.unmeetable.is_some() && !is_excused
    }

    /// While operations are sent: what the machine does afterwards delays none of them, and would only make its
    /// share in the rest look smaller.
    pub(super) fn sending_us(&self) -> Option<Range<u64>> {
        let at = |phase| self.phases.iter().find(|mark| mark.phase == phase).map(|mark| mark.at_us);
        Some(at(Phase::Load)?..at(Phase::Settle).unwrap_or(u64::MAX))
    }

    /// Why nobody knows whether this share of the operations was late because of the cluster, in a sentence.
    pub fn machine_may_explain(&self, late: f64) -> Option<String> {
        let explains = |share: &f64| share * DELAYS >= late;
        let crowded = self.crowded().filter(explains).map(|crowded| {
            format!("other work had the processors for {:.1} % of the time", crowded * 100.0)
        });
        crowded.or_else(|| {
            let stalled = self.disk_stalled().filter(explains)? * 100.0;
            Some(format!(
                "the disk stalled for {stalled:.1} % of the time, for no reason of the cluster's"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::measured::disk::tests::stalled;
    use crate::measured::processors::tests::crowded;

    #[test]
    fn a_machine_explains_what_it_may_have_delayed_and_no_more() {
        assert_eq!(stalled(Some(0)).machine_may_explain(0.0), None);
        let told = stalled(Some(200)).machine_may_explain(0.02).expect("1 % of the time");
        assert!(told.starts_with("the disk stalled for 1.0 % of the time"), "{told}");
        assert_eq!(stalled(Some(200)).machine_may_explain(0.04), None);
        let told = crowded(1).machine_may_explain(0.1).expect("5 % of the time");
        assert_eq!(told, "other work had the processors for 5.0 % of the time");
        assert_eq!(crowded(1).machine_may_explain(0.5), None);
    }

    #[test]
    fn a_run_that_was_given_up_accuses_only_if_nothing_else_may_be_why() {
        let mut given_up = crowded(0);
        assert!(!given_up.is_broken_for_certain());
        given_up.unmeetable = Some("accept_p99 cannot be met any more".to_owned());
        assert!(given_up.is_broken_for_certain());
        given_up.totals.limits.insert("lateness".to_owned(), 1);
        assert!(!given_up.is_broken_for_certain());
        given_up = crowded(1);
        given_up.unmeetable = Some("accept_p99 cannot be met any more".to_owned());
        assert!(!given_up.is_broken_for_certain());
    }
}
