//! `[expect]`: what must come out.

use super::load::positive;
use crate::scenario::{self, ExpectedOutcome};
use crate::value::invariant::InvariantName;
use crate::value::time::Below;
use crate::value::word::ValidVerdict;
use settings::mistake::Mistakes;
use settings::section;
use settings::section::Field;
use std::time::Duration;

section! {
    /// The expected result: the verdict, the deadlines of the liveness claims, and latencies.
    Expect {
        /// The verdict.
        verdict: Option<ValidVerdict> = None,
        /// Instead of a verdict: the invariants that must be violated.
        violates: Option<Vec<InvariantName>> = None,
        /// Deadline of `delivered_after_heal`, counted from the acceptance or the heal.
        delivered_after_heal: Duration = Duration::from_secs(15),
        /// Deadline of `no_stuck_session`.
        no_stuck_session: Duration = Duration::from_secs(15),
        /// Deadline of `recovers_to_baseline`, counted from the heal.
        recovers_within: Duration = Duration::from_secs(5),
        /// How long after a revocation a token may still be accepted.
        revocation_within: Duration = Duration::from_secs(5),
        /// Deadline of `away_member_is_pushed`, counted from the acceptance or the heal.
        pushed_within: Duration = Duration::from_secs(20),
        /// 99th percentile from the intended send until `accepted`.
        accept_p99: Option<Below> = None,
        /// 99th percentile from the intended send until shown.
        deliver_p99: Option<Below> = None,
        /// Invariants that may have nothing to judge here; any other one with nothing to judge
        /// makes the verdict unknown.
        may_be_idle: Vec<InvariantName> = Vec::new(),
    }
}

impl Expect {
    /// The validated section.
    pub fn validated(&self, mistakes: &mut Mistakes) -> Option<scenario::Expect> {
        let deadlines = [
            &self.delivered_after_heal,
            &self.no_stuck_session,
            &self.recovers_within,
            &self.revocation_within,
            &self.pushed_within,
        ];
        let fit = deadlines.map(|deadline| positive(deadline, mistakes));
        let expect = scenario::Expect {
            outcome: self.outcome(mistakes)?,
            delivered_after_heal: self.delivered_after_heal.get()?,
            no_stuck_session: self.no_stuck_session.get()?,
            recovers_within: self.recovers_within.get()?,
            revocation_within: self.revocation_within.get()?,
            pushed_within: self.pushed_within.get()?,
            accept_p99: self.accept_p99.get()?.map(|bound| bound.0),
            deliver_p99: self.deliver_p99.get()?.map(|bound| bound.0),
            may_be_idle: names(self.may_be_idle.get()?),
        };
        (fit == [true; 5]).then_some(expect)
    }

    fn outcome(&self, mistakes: &mut Mistakes) -> Option<ExpectedOutcome> {
        match (self.verdict.get()?, self.violates.get()?) {
            (_, None) => Some(ExpectedOutcome::Valid),
            (None, Some(invariants)) if !invariants.is_empty() => {
                Some(ExpectedOutcome::Violates(names(invariants)))
            }
            (None, Some(_)) => {
                self.violates.conflict(mistakes, "name at least one invariant".into());
                None
            }
            (Some(_), Some(_)) => {
                let what = "set either verdict = \"valid\" or violates, not both".into();
                self.violates.conflict(mistakes, what);
                None
            }
        }
    }
}

fn names(invariants: Vec<InvariantName>) -> Vec<String> {
    invariants.into_iter().map(|name| name.0).collect()
}

impl From<&scenario::Expect> for Expect {
    fn from(expect: &scenario::Expect) -> Self {
        let claims = |names: &[String]| names.iter().cloned().map(InvariantName).collect();
        let (verdict, violates) = match &expect.outcome {
            ExpectedOutcome::Valid => (Some(ValidVerdict), None),
            ExpectedOutcome::Violates(invariants) => (None, Some(claims(invariants))),
        };
        Self {
            verdict: Field::of(verdict),
            violates: Field::of(violates),
            delivered_after_heal: Field::of(expect.delivered_after_heal),
            no_stuck_session: Field::of(expect.no_stuck_session),
            recovers_within: Field::of(expect.recovers_within),
            revocation_within: Field::of(expect.revocation_within),
            pushed_within: Field::of(expect.pushed_within),
            accept_p99: Field::of(expect.accept_p99.map(Below)),
            deliver_p99: Field::of(expect.deliver_p99.map(Below)),
            may_be_idle: Field::of(claims(&expect.may_be_idle)),
        }
    }
}
