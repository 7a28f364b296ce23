//! Whether a slow run may be slow because of its machine, and not because of the cluster.

use super::Measured;
use crate::expectation::Expectation;
use std::ops::Range;
use verify::DELAYS;
use verify::history::event::Phase;

impl Measured {
    /// Whether the run ended because a bound cannot be met any more, and nothing but the cluster may be why: by what
    /// was measured until then that bound was missed, and is not open for the machine's sake.
    pub fn is_broken_for_certain(&self, expectations: &[Expectation]) -> bool {
        // Others may be missed because the run ended.
        let ended_it = |one: &Expectation| {
            let why = self.unmeetable.as_deref().and_then(|why| why.split(' ').next());
            why == Some(&*one.what) && !one.is_of_generator()
        };
        let mut missed = expectations.iter().filter(|one| one.is_missed_bound());
        self.totals.limits.is_empty() && missed.any(ended_it)
    }

    /// While operations are sent: what the machine does afterwards delays none of them, and would only make its
    /// share in the rest look smaller.
    pub(super) fn sending_us(&self) -> Option<Range<u64>> {
        let at = |phase| self.phases.iter().find(|mark| mark.phase == phase).map(|mark| mark.at_us);
        Some(at(Phase::Load)?..at(Phase::Settle).unwrap_or(u64::MAX))
    }

    /// Why nobody knows whether this share of the operations was late because of the cluster, in a sentence.
    pub fn machine_may_explain(&self, late: f64) -> Option<String> {
        self.explained_in(&self.sending_us()?, late)
    }

    /// The same where latency was not back at its baseline when the run ended: a tenth or more of the operations were
    /// late again and again from the end of the last fault on.
    pub fn machine_may_explain_no_recovery(&self) -> Option<String> {
        let sending = self.sending_us()?;
        let ended = self.faults.iter().filter_map(|fault| fault.to_us).max();
        self.explained_in(&(ended.unwrap_or(0).max(sending.start)..sending.end), 0.1)
    }

    fn explained_in(&self, part: &Range<u64>, late: f64) -> Option<String> {
        let explains = |share: &f64| share * DELAYS >= late;
        let crowded = self.crowded_in(part).filter(explains).map(|crowded| {
            format!("other work had the processors for {:.1} % of the time", crowded * 100.0)
        });
        crowded.or_else(|| {
            let stalled = self.disk_stalled_in(part).filter(explains)? * 100.0;
            Some(format!(
                "the disk stalled for {stalled:.1} % of the time, for no reason of the cluster's"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::expectation::Expectation;
    use crate::measured::Band;
    use crate::measured::disk::tests::stalled;
    use crate::measured::processors::tests::crowded;
    use crate::sample;

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
    fn a_run_that_never_recovers_is_excused_by_what_happens_after_its_faults_alone() {
        // Stalls of 200 ms from second 20 on, at the most.
        let with = |ms, ended_s: u64| {
            let mut measured = stalled(Some(ms));
            let to_us = Some(ended_s * 1_000_000);
            measured.faults = vec![Band { to_us, ..sample::measured().faults.remove(0) }];
            measured.machine_may_explain_no_recovery()
        };
        assert_eq!(with(200, 12), None, "a ninetieth of 18 s");
        assert_eq!(with(2_000, 22), None, "before the fault ended");
        let told = with(2_000, 19).expect("2 of 11 s");
        assert!(told.starts_with("the disk stalled for 18.2 % of the time"), "{told}");
    }

    #[test]
    fn a_run_that_was_given_up_accuses_only_if_nothing_else_may_be_why() {
        let bound = |met| Expectation {
            what: "accept_p99".to_owned(),
            wanted: "at most 100 ms".to_owned(),
            got: "9.00 s".to_owned(),
            met,
        };
        let (missed, open) = ([bound(Some(false))], [bound(None), bound(Some(true))]);
        let mut given_up = crowded(0);
        assert!(!given_up.is_broken_for_certain(&missed));
        given_up.unmeetable = Some("accept_p99 cannot be met any more".to_owned());
        assert!(given_up.is_broken_for_certain(&missed));
        assert!(!given_up.is_broken_for_certain(&open), "the machine may be why");
        given_up.unmeetable = Some("lateness_p99 cannot be met any more".to_owned());
        assert!(!given_up.is_broken_for_certain(&missed), "it ended for another reason");
        given_up.unmeetable = Some("accept_p99 cannot be met any more".to_owned());
        given_up.totals.limits.insert("lateness".to_owned(), 1);
        assert!(!given_up.is_broken_for_certain(&missed));
    }
}
