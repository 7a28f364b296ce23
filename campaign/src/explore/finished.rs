//! How one of many runs ended, read from what its process has left.

use super::child::World;
use nix::sys::signal::Signal;
use report::VerdictFile;
use report::sweep::Summary;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;
use verify::Verdict;

/// What came out of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As the scenario expects.
    Valid,
    /// Judged as it expects, but a bound on what was measured is not met.
    Missed,
    /// Not as it expects; or the process of a simulation died, which no scenario expects.
    Violated,
    /// That could not be judged.
    Unknown,
}

impl From<Outcome> for Verdict {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Valid => Self::Valid,
            Outcome::Missed | Outcome::Violated => Self::Violated,
            Outcome::Unknown => Self::Unknown,
        }
    }
}

impl Outcome {
    /// In a word or two.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Missed => "bound missed",
            Self::Violated => "violated",
            Self::Unknown => "unknown",
        }
    }

    /// Whether it is known not to be as the scenario expects.
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Missed | Self::Violated)
    }
}

/// How the run of one seed ended.
#[derive(Debug)]
pub struct Finished {
    /// The number of its case.
    pub case: usize,
    pub seed: u64,
    pub outcome: Outcome,
    /// Invariants that were violated.
    pub violated: Vec<String>,
    /// Bounds that are not met, with what came out.
    pub missed: Vec<String>,
    /// The violation to look at first, as a sentence.
    pub first: Option<String>,
    pub doubts: Vec<String>,
    /// What the process said when it died, or why there was none.
    pub died: Option<String>,
    pub episodes: Vec<Episode>,
    /// How long it took, if it left a verdict.
    pub took: Option<Duration>,
    /// What it measured, if it left a verdict.
    pub summary: Option<Summary>,
}

/// A fault of a run.
#[derive(Debug)]
pub struct Episode {
    pub kind: String,
    /// Names of nodes, in words for people.
    pub target: String,
    pub had_effect: bool,
}

impl Finished {
    /// Why it is not valid.
    pub fn why(&self) -> String {
        let known = [&*self.violated, &*self.missed].concat();
        match (&self.died, known.is_empty()) {
            (Some(died), _) => died.clone(),
            (None, false) => known.join("; "),
            (None, true) => self.doubts.join("; "),
        }
    }

    /// A run that has said nothing.
    pub(crate) const fn nothing(case: usize, seed: u64, outcome: Outcome) -> Self {
        Self {
            case,
            seed,
            outcome,
            violated: Vec::new(),
            missed: Vec::new(),
            first: None,
            doubts: Vec::new(),
            died: None,
            episodes: Vec::new(),
            took: None,
            summary: None,
        }
    }

    pub(super) fn of(
        world: &World,
        (case, seed): (usize, u64),
        status: ExitStatus,
        output: &[u8],
        errors: &str,
    ) -> Self {
        let outcome = match status.code() {
            Some(0) => Outcome::Valid,
            Some(2) => Outcome::Unknown,
            _ => Outcome::Violated,
        };
        let nothing = || Self::nothing(case, seed, outcome);
        let Ok(file) = serde_json::from_slice::<VerdictFile>(output) else {
            let words = last_words(status, errors);
            // The generator has died; or the run could not be made, or somebody has killed it, for want of memory for
            // one: that says nothing of the cluster. A simulation that aborts does.
            let is_killed = [Signal::SIGKILL, Signal::SIGTERM]
                .into_iter()
                .any(|signal| status.signal() == Some(signal as i32));
            let is_panic = errors.contains("panicked at");
            let is_not_made = matches!(status.code(), Some(2 | 64)) && !is_panic || is_killed;
            return if is_not_made || matches!(world, World::Real(_)) {
                Self { doubts: vec![words], ..Self::nothing(case, seed, Outcome::Unknown) }
            } else {
                Self { died: Some(words), ..nothing() }
            };
        };
        let summary = Some(Summary::of(&file));
        // A run that ended because a bound cannot be met any more is unknown.
        let is_met = file.expectations.first().is_some_and(|outcome| outcome.met != Some(false));
        let bounds = file.bounds();
        let told = |met: Option<bool>, word: &str| -> Vec<String> {
            let some = bounds.iter().filter(|bound| bound.met == met);
            some.map(|it| format!("{} {word}: wanted {}; got {}", it.what, it.wanted, it.got))
                .collect()
        };
        let outcome =
            if outcome == Outcome::Violated && is_met { Outcome::Missed } else { outcome };
        let open = told(None, "open");
        // What was not judged is accused of nothing.
        let missed = if outcome.is_failure() { told(Some(false), "missed") } else { Vec::new() };
        let episodes = file.measured.faults.into_iter().map(|band| Episode {
            kind: band.kind.to_string(),
            target: band.target.to_string(),
            had_effect: band.effect.is_some_and(|effect| effect > 0),
        });
        Self {
            violated: file
                .findings
                .into_iter()
                .filter(|finding| finding.verdict == Verdict::Violated)
                .map(|finding| finding.invariant)
                .collect(),
            missed,
            first: file.first,
            doubts: [file.doubts, open].concat(),
            episodes: episodes.collect(),
            took: Some(Duration::from_secs_f64(file.took.wall_s.max(0.0))),
            summary,
            outcome,
            ..nothing()
        }
    }
}

/// How a process died that left no verdict: with what it said last, which a panic says first.
fn last_words(status: ExitStatus, errors: &str) -> String {
    let panic = errors.lines().skip_while(|line| !line.contains("panicked at")).take(2);
    let said: Vec<&str> = panic.collect();
    let said = if said.is_empty() { errors.trim().to_owned() } else { said.join(" ") };
    match (status.signal(), status.code()) {
        (Some(signal), _) => format!("the process was killed by signal {signal}: {said}"),
        (None, code) => format!("no verdict (exit status {}): {said}", code.unwrap_or(-1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(status: i32, errors: &str) -> Finished {
        Finished::of(&World::Simulated, (0, 7), ExitStatus::from_raw(status), b"", errors)
    }

    #[test]
    fn a_generator_that_dies_says_nothing_of_the_cluster() {
        let real = World::Real(Vec::new());
        for (status, why) in [
            (9, "the process was killed by signal 9: no memory"),
            (101 << 8, "no verdict (exit status 101): no memory"),
            (1 << 8, "no verdict (exit status 1): no memory"),
        ] {
            let one = Finished::of(&real, (0, 7), ExitStatus::from_raw(status), b"", "no memory");
            assert_eq!((one.outcome, one.why().as_str()), (Outcome::Unknown, why));
        }
    }

    #[test]
    fn a_process_that_dies_is_violated_with_its_words() {
        let panic =
            "noise\nthread 'simulation' panicked at sim/src/run.rs:3:5:\nboth heads are 7\n";
        let aborted = ended(6, panic);
        assert_eq!(aborted.outcome, Outcome::Violated);
        assert_eq!(
            aborted.why(),
            "the process was killed by signal 6: thread 'simulation' panicked at sim/src/run.rs:3:5: both \
             heads are 7"
        );
        let panicked = ended(101 << 8, panic);
        assert_eq!(panicked.outcome, Outcome::Violated);
        assert!(panicked.why().starts_with("no verdict (exit status 101): thread"));
    }

    #[test]
    fn a_program_that_panics_beside_its_simulation_has_died() {
        let panicked = ended(2 << 8, "thread 'main' panicked at report/src/run.rs:3:5:\nno row\n");
        assert_eq!(panicked.outcome, Outcome::Unknown);
        assert!(panicked.died.is_some_and(|words| words.contains("no row")));
    }

    #[test]
    fn a_run_that_could_not_be_made_or_was_killed_from_outside_accuses_nobody() {
        for (status, why) in [
            (9, "the process was killed by signal 9: no memory"),
            (15, "the process was killed by signal 15: no memory"),
            (64 << 8, "no verdict (exit status 64): no memory"),
            (2 << 8, "no verdict (exit status 2): no memory"),
        ] {
            let one = ended(status, "no memory");
            assert_eq!((one.outcome, one.why().as_str()), (Outcome::Unknown, why));
            assert_eq!(one.died, None);
        }
    }

    /// A run that left a verdict, whose outcome is met or not, and whose p99 is.
    fn told(status: i32, outcome: Option<bool>, p99: Option<bool>) -> Finished {
        let demand = |what: &str, met: Option<bool>| serde_json::json!({"what": what, "wanted": "at most 1 ms", "got": "2 ms", "met": met});
        let file = serde_json::json!({
            "format": 1, "version": "0", "scenario": "smoke", "seed": 7, "engine": "real",
            "verdict": if outcome.is_none() { "unknown" } else { "valid" }, "as_expected": false,
            "doubts": if outcome.is_none() { vec!["too busy"] } else { Vec::new() }, "notes": [],
            "expectations": [demand("outcome", outcome), demand("accept_p99", p99)],
            "findings": [], "events": 1, "history": "", "reproduce": "",
            "took": {"wall_s": 1.0, "cpu_s": 1.0, "simulated_s": 1.0},
            "measured": report::Measured::default(),
        });
        let status = ExitStatus::from_raw(status << 8);
        let text = serde_json::to_vec(&file).unwrap();
        Finished::of(&World::Real(Vec::new()), (0, 7), status, &text, "")
    }

    #[test]
    fn a_bound_that_is_missed_is_no_violation_and_an_unknown_run_is_accused_of_nothing() {
        let missed = told(1, Some(true), Some(false));
        let why = "accept_p99 missed: wanted at most 1 ms; got 2 ms";
        assert_eq!((missed.outcome, &*missed.why()), (Outcome::Missed, why));
        // It was ended because of that bound.
        assert_eq!(told(1, None, Some(false)).outcome, Outcome::Missed);
        assert_eq!(told(1, Some(false), Some(true)).outcome, Outcome::Violated);
        let unknown = told(2, None, Some(false));
        assert_eq!((unknown.outcome, &*unknown.why()), (Outcome::Unknown, "too busy"));
        assert_eq!(unknown.missed, [""; 0]);
        let open = told(2, Some(true), None);
        let why = "accept_p99 open: wanted at most 1 ms; got 2 ms";
        assert_eq!((open.outcome, &*open.why()), (Outcome::Unknown, why));
    }
}
