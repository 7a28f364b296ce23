//! What the scenario's `[expect]` demands, beside what came out.

use crate::measured::Measured;
use crate::number;
use scenarios::Scenario;
use scenarios::scenario::ExpectedOutcome;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use verify::verdict::{Judgement, Verdict};

/// One demand of a scenario.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expectation {
    /// What it is about: "outcome".
    pub what: String,
    /// What the scenario wants.
    pub wanted: String,
    /// What the run showed.
    pub got: String,
    /// Whether the two agree; `None` if that is unknown.
    pub met: Option<bool>,
}

/// Compares a run with its scenario's demands. The first one is always the outcome.
pub fn expectations(
    scenario: &Scenario,
    judgement: &Judgement,
    measured: &Measured,
) -> Vec<Expectation> {
    let mut expectations = vec![outcome(&scenario.expect.outcome, judgement)];
    let mut bound = |what: &str, limit: Option<Duration>, p99_us: Option<u64>, count: u64| {
        if let Some(limit) = limit {
            expectations.push(at_most(what, limit, p99_us, count));
        }
    };
    let (accept, deliver) = (&measured.accept.all, &measured.deliver.all);
    bound("accept_p99", scenario.expect.accept_p99, accept.p99_us, accept.count);
    bound("deliver_p99", scenario.expect.deliver_p99, deliver.p99_us, deliver.count);
    expectations
}

fn outcome(wanted: &ExpectedOutcome, judgement: &Judgement) -> Expectation {
    let violated = violated(judgement);
    let got = match judgement.verdict {
        Verdict::Valid => "valid".to_owned(),
        Verdict::Unknown => "unknown".to_owned(),
        Verdict::Violated => format!("violated: {}", violated.join(", ")),
    };
    let (wanted, met) = match wanted {
        ExpectedOutcome::Valid => ("valid".to_owned(), judgement.verdict == Verdict::Valid),
        // A bad design may break further invariants as well; the named ones it must break.
        ExpectedOutcome::Violates(named) => (
            format!("violated: {}", named.join(", ")),
            judgement.verdict == Verdict::Violated
                && named.iter().all(|name| violated.contains(&name.as_str())),
        ),
    };
    let met = if judgement.verdict == Verdict::Unknown { None } else { Some(met) };
    Expectation { what: "outcome".to_owned(), wanted, got, met }
}

fn violated(judgement: &Judgement) -> Vec<&str> {
    let violated = judgement.findings.iter().filter(|found| found.verdict == Verdict::Violated);
    violated.map(|found| found.invariant.as_str()).collect()
}

fn at_most(what: &str, limit: Duration, p99_us: Option<u64>, count: u64) -> Expectation {
    let limit_us = number::micros(limit);
    Expectation {
        what: what.to_owned(),
        wanted: format!("at most {}", number::latency(limit_us)),
        got: match p99_us {
            Some(us) => format!("{} ({} measured)", number::latency(us), number::count(count)),
            None => "nothing measured".to_owned(),
        },
        met: p99_us.map(|us| us <= limit_us),
    }
}

#[cfg(test)]
mod tests {
    use super::expectations;
    use crate::measured::{Measured, Percentiles};
    use crate::sample;
    use scenarios::scenario::ExpectedOutcome;
    use std::time::Duration;
    use verify::verdict::Verdict::{self, Unknown, Valid, Violated};

    #[test]
    fn the_outcome_is_met_only_by_a_verdict() {
        let survives = || vec!["accepted_message_survives".to_owned()];
        let other = || vec!["no_gap_in_sequence".to_owned()];
        let wanted = ExpectedOutcome::Violates;
        for (wanted, verdict, met) in [
            (ExpectedOutcome::Valid, Valid, Some(true)),
            (ExpectedOutcome::Valid, Violated, Some(false)),
            (ExpectedOutcome::Valid, Unknown, None),
            (wanted(survives()), Violated, Some(true)),
            (wanted(other()), Violated, Some(false)),
            (wanted(survives()), Valid, Some(false)),
            (wanted(survives()), Unknown, None),
        ] {
            let mut scenario = sample::scenario();
            scenario.expect.outcome = wanted.clone();
            let judgement = sample::judgement_of(verdict);
            let got = expectations(&scenario, &judgement, &Measured::default());
            assert_eq!(got[0].met, met, "{wanted:?} {verdict:?}");
        }
    }

    #[test]
    fn a_bound_on_latency_includes_its_limit() {
        for (p99_us, met) in
            [(Some(250_000), Some(true)), (Some(250_001), Some(false)), (None, None)]
        {
            let mut scenario = sample::scenario();
            scenario.expect.accept_p99 = Some(Duration::from_millis(250));
            scenario.expect.deliver_p99 = None;
            let mut measured = Measured::default();
            measured.accept.all = Percentiles { count: 10, p99_us, ..Percentiles::default() };
            let judgement = sample::judgement_of(Verdict::Valid);
            let got = expectations(&scenario, &judgement, &measured);
            assert_eq!(got.len(), 2);
            assert_eq!(got[1].met, met, "{p99_us:?}");
        }
    }
}
