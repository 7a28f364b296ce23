//! The runs of one scenario in both worlds, and whether they agree.

use crate::doubts;
use crate::measured::{Latency, Measured, Recovery};
use crate::sweep::median;
use crate::text::notes::within;
use crate::verdict_file::VerdictFile;
use std::collections::{BTreeMap, BTreeSet};
use verify::verdict::Verdict;

/// A recovery is known to a second, so that one of 1 s and one of 2 s may be the same.
const STEP_US: u64 = 1_000_000;
/// Recoveries that differ by more than this factor are not of one order.
const FACTOR: u64 = 2;
/// Reasons that are listed.
const REASONS_MAX: usize = 8;

/// The runs of one scenario in both worlds.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) scenario: String,
    pub(crate) simulated: Side,
    pub(crate) real: Side,
}

/// The runs in one world, each with the link to its folder.
#[derive(Clone, Debug, Default)]
pub(crate) struct Side {
    pub(crate) runs: Vec<(String, VerdictFile)>,
}

/// Whether both worlds say the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Agreement {
    /// There is nothing to say it of: no faults, no recovery.
    Nothing,
    Same,
    /// One side does not say.
    Unknown,
    Differs,
}

impl Agreement {
    pub(crate) const fn sign(self) -> &'static str {
        match self {
            Self::Nothing => "–",
            Self::Same => "✓",
            Self::Unknown => "?",
            Self::Differs => "✗",
        }
    }
}

impl Pair {
    pub(crate) const fn sides(&self) -> [(&'static str, &Side); 2] {
        [("simulated", &self.simulated), ("real", &self.real)]
    }

    /// Of verdicts and recovery together.
    pub(crate) fn agreement(&self) -> Agreement {
        self.verdicts().max(self.recovery()).max(Agreement::Same)
    }

    /// A verdict that one side has and the other never is a difference; unknown is none. Where both find
    /// violations, at least one invariant must be the same: what else breaks with it depends on the moment.
    pub(crate) fn verdicts(&self) -> Agreement {
        let [simulated, real] = self.sides().map(|(_, side)| side.outcomes());
        let [in_one, in_other] = self.sides().map(|(_, side)| side.violated());
        match () {
            () if simulated.is_empty() || real.is_empty() => Agreement::Unknown,
            () if simulated != real => Agreement::Differs,
            () if !in_one.is_empty() && in_one.is_disjoint(&in_other) => Agreement::Differs,
            () => Agreement::Same,
        }
    }

    /// By the medians of the runs that know how long recovery took.
    pub(crate) fn recovery(&self) -> Agreement {
        let [simulated, real] = self.sides().map(|(_, side)| side.recovery());
        compared(simulated, real)
    }

    /// The kinds of faults of which both sides know how long recovery took: its medians.
    pub(crate) fn faults(&self) -> Vec<(String, u64, u64)> {
        let [simulated, real] = self.sides().map(|(_, side)| side.recoveries_by_kind());
        let both = |(kind, us): (String, u64)| real.get(&kind).map(|real| (kind, us, *real));
        simulated.clone().into_iter().filter_map(both).collect()
    }

    /// Why they may differ: what the runs say of themselves.
    pub(crate) fn reasons(&self) -> Vec<String> {
        let [in_one, in_other] = self.sides().map(|(_, side)| side.violated());
        let alone = |world: &str, here: &BTreeSet<&str>, there: &BTreeSet<&str>| {
            let alone: Vec<&str> = here.difference(there).copied().collect();
            (!alone.is_empty())
                .then(|| format!("{world}: violated there alone: {}", alone.join(", ")))
        };
        let violated = [alone("simulated", &in_one, &in_other), alone("real", &in_other, &in_one)];
        let mut reasons: Vec<String> = violated.into_iter().flatten().collect();
        for (world, side) in self.sides() {
            for (_, file) in &side.runs {
                let doubts = match file.verdict {
                    Verdict::Unknown => doubts::folded(&file.doubts),
                    Verdict::Valid | Verdict::Violated => Vec::new(),
                };
                for reason in file.notes.iter().chain(&doubts) {
                    let reason = format!("{world}: {reason}");
                    if !reasons.contains(&reason) {
                        reasons.push(reason);
                    }
                }
            }
        }
        if reasons.len() > REASONS_MAX {
            let more = reasons.len() - REASONS_MAX;
            reasons.truncate(REASONS_MAX);
            reasons.push(format!("and {more} more, in the reports of the runs"));
        }
        reasons
    }
}

/// Two recoveries, each up to a second shorter than it is known.
fn compared(simulated: Option<u64>, real: Option<u64>) -> Agreement {
    match (simulated, real) {
        (None, None) => Agreement::Nothing,
        (Some(simulated), Some(real)) => {
            let (shorter, longer) = (simulated.min(real), simulated.max(real));
            let fits = longer.saturating_sub(STEP_US) <= shorter.saturating_mul(FACTOR);
            if fits { Agreement::Same } else { Agreement::Differs }
        }
        _ => Agreement::Unknown,
    }
}

impl Side {
    /// Each verdict that was reached, with whether the scenario expects it.
    fn outcomes(&self) -> BTreeSet<(&'static str, bool)> {
        let outcome = |file: &VerdictFile| match file.verdict {
            Verdict::Unknown => None,
            Verdict::Valid => Some(("valid", file.outcome_is_met())),
            Verdict::Violated => Some(("violated", file.outcome_is_met())),
        };
        self.runs.iter().filter_map(|(_, file)| outcome(file)).collect()
    }

    /// The invariants that any run has violated.
    fn violated(&self) -> BTreeSet<&str> {
        let findings = self.runs.iter().flat_map(|(_, file)| &file.findings);
        let violated = findings.filter(|found| found.verdict == Verdict::Violated);
        violated.map(|found| &*found.invariant).collect()
    }

    /// The recovery in words, with of how many faults it is known.
    pub(crate) fn recovery_told(&self) -> String {
        let bands = || self.runs.iter().flat_map(|(_, file)| &file.measured.faults);
        let known = bands().filter(|band| known(band.recovery).is_some()).count();
        match (bands().count(), known) {
            (_, 0) => told(None),
            (all, known) => format!("{} ({known} of {all} faults)", told(self.recovery())),
        }
    }

    /// "3 valid, 1 unknown".
    pub(crate) fn verdicts(&self) -> String {
        let of = |wanted| self.runs.iter().filter(|(_, file)| file.verdict == wanted).count();
        let counts = [
            (of(Verdict::Valid), "valid"),
            (of(Verdict::Violated), "violated"),
            (of(Verdict::Unknown), "unknown"),
        ];
        let told = counts.iter().filter(|(count, _)| *count > 0);
        told.map(|(count, word)| format!("{count} {word}")).collect::<Vec<_>>().join(", ")
    }

    /// Microseconds, the highest number for never.
    pub(crate) fn recovery(&self) -> Option<u64> {
        median(self.runs.iter().filter_map(|(_, file)| known(file.measured.recovery())).collect())
    }

    fn recoveries_by_kind(&self) -> BTreeMap<String, u64> {
        let mut kinds: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for band in self.runs.iter().flat_map(|(_, file)| &file.measured.faults) {
            if let Some(us) = known(band.recovery) {
                kinds.entry(band.kind.to_string()).or_default().push(us);
            }
        }
        kinds.into_iter().filter_map(|(kind, all)| Some((kind, median(all)?))).collect()
    }

    /// A percentile: the median of the runs.
    pub(crate) fn percentile(
        &self,
        of: fn(&Measured) -> &Latency,
        percentile: fn(&crate::measured::Percentiles) -> Option<u64>,
    ) -> Option<u64> {
        let runs = self.runs.iter();
        median(runs.filter_map(|(_, file)| percentile(&of(&file.measured).all)).collect())
    }
}

fn known(recovery: Recovery) -> Option<u64> {
    match recovery {
        Recovery::Unknown => None,
        Recovery::After(us) => Some(us.div_ceil(STEP_US).max(1) * STEP_US),
        Recovery::Never => Some(u64::MAX),
    }
}

/// A recovery in words.
pub(crate) fn told(us: Option<u64>) -> String {
    match us {
        None => "–".to_owned(),
        Some(u64::MAX) => "never".to_owned(),
        Some(us) => within(us),
    }
}
