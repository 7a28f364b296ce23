//! `verdict.json`: the run for machines.
//!
//! | field | what it holds |
//! | --- | --- |
//! | `format` | the number of this layout; readers refuse a newer one |
//! | `version` | the version of Fracas that wrote it |
//! | `scenario` | the scenario's name |
//! | `seed` | the seed |
//! | `engine` | `simulated` or `real` |
//! | `verdict` | `valid`, `violated` or `unknown` |
//! | `as_expected` | whether every expectation was met |
//! | `doubts` | why the verdict is unknown, if it is: one sentence each |
//! | `notes` | what the verdict need not know: parts of the scenario that the engine does not do |
//! | `first` | the violation to look at first, as a sentence; null if nothing is violated |
//! | `prediction` | of a run that is one of the scenario's tries: `predicted`, `got`, `came_true` (null: open), `because`; else null |
//! | `expectations` | what the scenario wants: `what`, `wanted`, `got`, `met` (null: unknown) |
//! | `findings` | one per invariant: `invariant`, `verdict`, `judged`, `unit`, `violations`, `evidence` |
//! | `findings[].evidence` | the first few violations: `at` (µs), `what`, `faults`, `history` (lines) |
//! | `events` | events that were judged |
//! | `measured` | latencies, series, faults, totals: `measured::Measured`, times in microseconds |
//! | `took` | `wall_s`, `cpu_s`, `simulated_s`, `ended_at_ms` (since 1970; null: not known): the only values that differ between two runs of a seed |
//! | `machine` | `system`, `processors`, `model` (null where the system does not say) |
//! | `history` | the file with the history, beside this one |
//! | `reproduce` | the command that reproduces the run |

use crate::expectation::Expectation;
use crate::machine::Machine;
use crate::measured::Measured;
use crate::prediction::Prediction;
use crate::run::Run;
use crate::violations;
use serde::{Deserialize, Serialize};
use verify::history::event::Engine;
use verify::verdict::{Finding, Verdict};

/// The layout of `verdict.json`.
pub const FORMAT: u32 = 1;

/// The content of `verdict.json`; the module's page says what each field holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the table above documents the fields")]
pub struct VerdictFile {
    pub format: u32,
    pub version: String,
    pub scenario: String,
    pub seed: u64,
    pub engine: Engine,
    pub verdict: Verdict,
    pub as_expected: bool,
    pub doubts: Vec<String>,
    pub notes: Vec<String>,
    #[serde(default)]
    pub first: Option<String>,
    #[serde(default)]
    pub prediction: Option<Prediction>,
    pub expectations: Vec<Expectation>,
    pub findings: Vec<Finding>,
    pub events: u64,
    pub took: TookSeconds,
    #[serde(default)]
    pub machine: Option<Machine>,
    pub history: String,
    pub reproduce: String,
    pub measured: Measured,
}

/// What a run took, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in `Took`")]
pub struct TookSeconds {
    pub wall_s: f64,
    pub cpu_s: f64,
    pub simulated_s: f64,
    #[serde(default)]
    pub ended_at_ms: Option<u64>,
}

impl VerdictFile {
    /// Whether the verdict is the one that the scenario expects; what was measured does not count.
    pub(crate) fn outcome_is_met(&self) -> bool {
        self.expectations.first().is_some_and(|outcome| outcome.met == Some(true))
    }

    /// What the scenario demands of what was measured.
    pub fn bounds(&self) -> &[Expectation] {
        self.expectations.get(1..).unwrap_or_default()
    }

    /// The file of a run.
    pub fn of(run: &Run) -> Self {
        Self {
            format: FORMAT,
            version: run.version.to_owned(),
            scenario: run.header.scenario.clone(),
            seed: run.header.seed,
            engine: run.header.engine,
            verdict: run.judgement.verdict,
            as_expected: !run.failed(),
            doubts: run.judgement.doubts.clone(),
            notes: run.notes.to_vec(),
            first: violations::leading(run.judgement)
                .map(|(_, shown)| violations::sentence(shown, &run.measured.faults)),
            prediction: run.prediction(),
            expectations: run.expectations.to_vec(),
            findings: run.judgement.findings.clone(),
            events: run.judgement.events,
            took: TookSeconds {
                wall_s: run.took.wall.as_secs_f64(),
                cpu_s: run.took.cpu.as_secs_f64(),
                simulated_s: run.took.simulated.as_secs_f64(),
                ended_at_ms: run.took.ended_at_ms,
            },
            machine: Some(run.machine.clone()),
            history: run.history_file.to_owned(),
            reproduce: run.reproduce.to_owned(),
            measured: run.measured.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::VerdictFile;
    use crate::sample::Stage;
    use verify::verdict::Verdict;

    #[test]
    fn a_verdict_file_reads_back_as_it_was_written() {
        for verdict in [Verdict::Valid, Verdict::Unknown, Verdict::Violated] {
            let mut stage = Stage::of(verdict);
            stage.measured.totals.closed.insert(1_000, 3);
            let file = VerdictFile::of(&stage.run());
            let text = serde_json::to_string_pretty(&file).expect("a plain structure");
            let back: VerdictFile = serde_json::from_str(&text).expect("what was just written");
            assert_eq!(back, file);
        }
    }

    #[test]
    fn a_verdict_file_holds_the_judgement() {
        let stage = Stage::of(Verdict::Violated);
        let text = serde_json::to_string(&VerdictFile::of(&stage.run())).expect("plain");
        let judgement: verify::verdict::Judgement =
            serde_json::from_str(&text).expect("the same fields");
        assert_eq!(judgement, stage.judgement);
    }
}
