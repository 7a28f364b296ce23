//! Two sets of runs, compared: is B better than A, worse, or the same?
//!
//! Whole runs are the replicates (see `bootstrap`). Nothing is called different that the runs do not
//! show: a figure is `worse` or `better` if its interval excludes "no change" and its change exceeds the
//! tolerance, `same` if the whole interval lies within the tolerance, and `not clear` otherwise.
//!
//! All figures are looked at, so one of them must not stand out by chance: the intervals hold together in
//! 19 of 20 comparisons, each being as much wider as there are figures (Bonferroni; Dunn, "Multiple
//! Comparisons Among Means", Journal of the American Statistical Association 56, 1961). An interval
//! from few runs ends where the runs end, however wide it is meant to be. So nothing is called different
//! either that dealing the same runs out to two sides at random would show too often (see `permutation`). A
//! demand (`--fail-if`) was made before the runs were looked at: only the demands share one error.

pub(crate) mod bootstrap;
pub(crate) mod differences;
mod gate;
mod measured;
mod metric;
mod permutation;
mod replicates;
mod sides;
mod words;
mod write;

use crate::past_run::PastRun;
pub use gate::{FailIf, Gate};
use measured::Measured;
use metric::METRICS;
use serde::Serialize;
pub use sides::{CannotCompare, sides};
pub(crate) use write::FILES;

/// How a figure of B compares with that of A.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Shown to be better.
    Better,
    /// Shown to differ by no more than the tolerance.
    Same,
    /// Shown to be worse.
    Worse,
    /// The runs do not show it.
    NotClear,
}

/// One figure of both sides.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Compared {
    /// As `--fail-if` names it.
    pub metric: &'static str,
    /// Of all runs of A together: microseconds, accepted per second, or a share.
    pub a: Option<f64>,
    /// The same of B.
    pub b: Option<f64>,
    /// B / A; infinite (in JSON null) if A is zero.
    pub ratio: Option<f64>,
    /// Where its interval begins; those of all figures hold together in 19 of 20 comparisons.
    pub low: Option<f64>,
    /// Where it ends.
    pub high: Option<f64>,
    /// What that means.
    pub outcome: Outcome,
    /// Why it is not clear, or what else to know.
    pub why: Option<String>,
}

/// The runs of a side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Side {
    /// The folders.
    pub folders: Vec<String>,
    /// The scenario's name, of the first run.
    pub scenario: String,
    /// The seeds, in words: "1 to 5".
    pub seeds: String,
}

/// A and B, compared.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The version of Fracas that compared.
    pub version: String,
    /// The first side.
    pub a: Side,
    /// The other side.
    pub b: Side,
    /// A change by no more than this is none.
    pub tolerance: f64,
    /// What differs beside the figures: a sentence each.
    pub differences: Vec<String>,
    /// All figures that one of the runs has.
    pub metrics: Vec<Compared>,
    /// What the caller demands of it.
    pub gates: Vec<Gate>,
}

/// Compares; the sides must not be empty.
pub fn compare(
    a: &[PastRun],
    b: &[PastRun],
    tolerance: f64,
    fail_if: &[FailIf],
    version: &str,
) -> Comparison {
    let measured = METRICS.iter().filter_map(|metric| Measured::of(metric, a, b));
    let measured: Vec<Measured> = measured.collect();
    let together = measured.iter().filter(|one| one.is_on_both()).count();
    let metrics = measured.iter().map(|one| one.judged(together, tolerance)).collect();
    let gates = fail_if.iter().map(|gate| gate.judged(&measured, fail_if.len())).collect();
    Comparison {
        version: version.to_owned(),
        a: side(a),
        b: side(b),
        tolerance,
        differences: differences::differences(a, b),
        gates,
        metrics,
    }
}

fn side(runs: &[PastRun]) -> Side {
    Side {
        folders: runs.iter().map(|run| run.folder.display().to_string()).collect(),
        scenario: runs.first().map(|run| run.file.scenario.clone()).unwrap_or_default(),
        seeds: differences::ranges(&differences::seeds(runs)),
    }
}

impl Compared {
    /// How its values are written.
    fn unit(&self) -> metric::Unit {
        let metric = METRICS.iter().find(|metric| metric.name == self.metric);
        metric.map_or(metric::Unit::Share, |metric| metric.unit)
    }
}

#[cfg(test)]
mod tests;
