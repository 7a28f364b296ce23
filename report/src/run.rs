//! One run as a report sees it: what was asked, what was judged, what was measured.

use crate::expectation::Expectation;
use crate::machine::Machine;
use crate::measured::Measured;
use scenarios::Scenario;
use scenarios::scenario::{ExpectedOutcome, Try};
use std::time::Duration;
use verify::history::PathStep;
use verify::history::event::{Engine, Header};
use verify::verdict::{Finding, Judgement, Verdict};

/// A run that is over.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// What was asked.
    pub scenario: &'a Scenario,
    /// The scenario file as it took effect, with all overrides.
    pub scenario_toml: &'a str,
    /// Which of the scenario's tries it is, if it is one.
    pub tried: Option<&'a Try>,
    /// The steps of the messages that violations are about, where the run could be made again for them.
    pub path: &'a [PathStep],
    /// The first line of the history.
    pub header: &'a Header,
    /// What the judge says.
    pub judgement: &'a Judgement,
    /// What was measured.
    pub measured: &'a Measured,
    /// From `expectations`.
    pub expectations: &'a [Expectation],
    /// One command line that reproduces the run.
    pub reproduce: &'a str,
    /// The same from within the run's folder, with the scenario as it was run.
    pub reproduce_here: &'a str,
    /// The version of Fracas.
    pub version: &'a str,
    /// The name of the history's file, beside the report.
    pub history_file: &'a str,
    /// What a reader should know, and the verdict need not: parts of the scenario that this engine
    /// does not do.
    pub notes: &'a [String],
    /// What the run took.
    pub took: Took,
    /// The machine that it ran on.
    pub machine: &'a Machine,
}

/// What a run took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Took {
    /// When it ended: milliseconds since 1970; `None` if nobody looked.
    pub ended_at_ms: Option<u64>,
    /// Of the wall clock.
    pub wall: Duration,
    /// Of all processors together.
    pub cpu: Duration,
    /// Of simulated time; in a real run the length of the run.
    pub simulated: Duration,
}

/// What became of one invariant, in the light of what the scenario wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Status {
    /// Something was judged, and all of it was right.
    Held,
    /// Violated in a run that must violate, and does.
    ViolatedAsWanted,
    /// Violated.
    Violated,
    /// Nothing was judged, as the scenario allows.
    Idle,
    /// Nothing was judged, or it could not be.
    Unknown,
}

impl Status {
    /// One character that says it without colour.
    pub(crate) const fn sign(self) -> &'static str {
        match self {
            Self::Held | Self::ViolatedAsWanted => "✓",
            Self::Violated => "✗",
            Self::Idle => "–",
            Self::Unknown => "?",
        }
    }

    /// The same in words.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::ViolatedAsWanted => "caught, as expected",
            Self::Violated => "violated",
            Self::Idle => "idle, as allowed",
            Self::Unknown => "unknown",
        }
    }
}

impl Run<'_> {
    /// Whether the run did not do what its scenario wants: somebody has to look at it.
    pub fn failed(&self) -> bool {
        self.expectations.iter().any(|expectation| expectation.met != Some(true))
    }

    pub(crate) fn status(&self, finding: &Finding) -> Status {
        match finding.verdict {
            Verdict::Valid => Status::Held,
            Verdict::Violated if self.violates_as_wanted() => Status::ViolatedAsWanted,
            Verdict::Violated => Status::Violated,
            Verdict::Unknown if self.may_be_idle(finding) => Status::Idle,
            Verdict::Unknown => Status::Unknown,
        }
    }

    /// Whether the scenario wants violations, and got those that it names.
    pub(crate) fn violates_as_wanted(&self) -> bool {
        matches!(self.scenario.expect.outcome, ExpectedOutcome::Violates(_))
            && self.expectations.first().is_some_and(|outcome| outcome.met == Some(true))
    }

    fn may_be_idle(&self, finding: &Finding) -> bool {
        let name = &finding.invariant;
        let is_wanted = self.scenario.expect.may_be_idle.contains(name);
        finding.judged == 0 && (is_wanted || verify::has_nothing_to_judge(self.header, name))
    }

    /// The verdict as a sentence's end: "as the scenario expects".
    pub(crate) fn agreement(&self) -> &'static str {
        match self.expectations.first().and_then(|outcome| outcome.met) {
            Some(true) if self.expectations.iter().any(|one| one.met == Some(false)) => {
                "as expected, but not all else is"
            }
            Some(true) if self.failed() => "as expected, but not all else was measured",
            Some(true) if self.violates_as_wanted() => "as expected",
            Some(true) => "as the scenario expects",
            Some(false) if self.is_as_predicted() => {
                "not what the scenario expects, but what it predicts of this change"
            }
            Some(false) => "not what the scenario expects",
            None => "the scenario's expectation stays open",
        }
    }

    /// The outcome for people: a violation that the scenario wants is a success.
    pub(crate) fn outcome_word(&self) -> &'static str {
        if self.violates_as_wanted() { "caught" } else { self.verdict_word() }
    }

    /// The verdict, as files have it.
    pub(crate) fn verdict_word(&self) -> &'static str {
        match self.judgement.verdict {
            Verdict::Valid => "valid",
            Verdict::Violated => "violated",
            Verdict::Unknown => "unknown",
        }
    }

    /// What the verdict means, for somebody who reads their first report.
    pub(crate) fn verdict_sentence(&self) -> String {
        let findings = &self.judgement.findings;
        let violated = findings.iter().filter(|found| found.verdict == Verdict::Violated).count();
        let held = findings.iter().filter(|found| found.verdict == Verdict::Valid).count();
        let invariants = findings.len();
        match self.judgement.verdict {
            Verdict::Valid if held == invariants => {
                format!("All {invariants} invariants judged something, and all of them held.")
            }
            Verdict::Valid => format!(
                "{held} of {invariants} invariants judged something, and all of these held; the \
                 scenario allows the others to be idle."
            ),
            Verdict::Violated if self.violates_as_wanted() => {
                format!("Violated, as it must be: {violated} of {invariants} invariants.")
            }
            Verdict::Violated => {
                let were = if violated == 1 { "was" } else { "were" };
                format!("{violated} of {invariants} invariants {were} violated.")
            }
            Verdict::Unknown => {
                "Nothing was violated, but not everything could be judged.".to_owned()
            }
        }
    }

    pub(crate) fn engine(&self) -> &'static str {
        match self.header.engine {
            Engine::Simulated => "simulated",
            Engine::Real => "real sockets",
        }
    }

    /// Simulated seconds per second of processor time, where time is simulated.
    pub(crate) fn speed(&self) -> Option<f64> {
        let cpu = self.took.cpu.as_secs_f64();
        (self.header.engine == Engine::Simulated && cpu > 0.0)
            .then(|| self.took.simulated.as_secs_f64() / cpu)
    }

    /// All violations of all invariants.
    pub(crate) fn violations(&self) -> u64 {
        self.judgement.findings.iter().map(|found| found.violations).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::Status;
    use crate::expectation::expectations;
    use crate::measured::Measured;
    use crate::sample::{self, Stage};
    use scenarios::scenario::ExpectedOutcome;
    use verify::verdict::Verdict;

    #[test]
    fn a_wanted_violation_is_no_failure() {
        let mut stage = Stage::of(Verdict::Violated);
        assert!(stage.run().failed());
        assert_eq!(stage.run().status(&stage.judgement.findings[0]), Status::Violated);
        stage.scenario.expect.outcome =
            ExpectedOutcome::Violates(vec!["accepted_message_survives".to_owned()]);
        stage.expectations = expectations(&stage.scenario, &stage.judgement, &Measured::default());
        stage.expectations.truncate(1);
        assert!(!stage.run().failed());
        assert_eq!(stage.run().status(&stage.judgement.findings[0]), Status::ViolatedAsWanted);
    }

    #[test]
    fn an_unknown_verdict_fails_a_run() {
        assert!(Stage::of(Verdict::Unknown).run().failed());
        assert!(!Stage::of(Verdict::Valid).run().failed());
    }

    #[test]
    fn only_a_named_invariant_may_be_idle() {
        let mut stage = Stage::of(Verdict::Valid);
        let mut finding = sample::finding("edits_converge", Verdict::Unknown, 0);
        assert_eq!(stage.run().status(&finding), Status::Unknown);
        stage.scenario.expect.may_be_idle = vec!["edits_converge".to_owned()];
        assert_eq!(stage.run().status(&finding), Status::Idle);
        finding.judged = 1;
        assert_eq!(stage.run().status(&finding), Status::Unknown, "judged, yet undecided");
    }

    #[test]
    fn what_the_run_could_not_see_is_idle() {
        let mut stage = Stage::of(Verdict::Valid);
        let finding = sample::finding("no_node_panics", Verdict::Unknown, 0);
        assert_eq!(stage.run().status(&finding), Status::Unknown);
        stage.header.unseen = vec!["no_node_panics".to_owned()];
        assert_eq!(stage.run().status(&finding), Status::Idle);
    }
}
