//! Two sets of runs, compared: is B better than A, worse, or the same?
//!
//! Whole runs are the replicates (see `bootstrap`). Nothing is called different that the runs do not
//! show: a figure is `worse` or `better` if its interval excludes "no change" and its change exceeds the
//! tolerance, `same` if the whole interval lies within the tolerance, and `not clear` otherwise. Each
//! interval holds for itself: of twenty figures that do not differ, one will seem to, if its change also
//! exceeds the tolerance.

pub(crate) mod bootstrap;
mod differences;
mod gate;
mod metric;
mod replicates;
mod sides;
mod words;
mod write;

use crate::past_run::PastRun;
use bootstrap::{FEWEST_RUNS, Replicates, ratio};
pub use gate::{FailIf, Gate};
use metric::{METRICS, Metric};
use replicates::Figures;
use serde::Serialize;
pub use sides::{CannotCompare, sides};
pub(crate) use write::FILES;

/// Fewest values above a percentile that say where it is.
const FEWEST_BEYOND: u64 = 10;
/// The draws are the same in every comparison.
const SEED: u64 = 1;

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
    /// Where its 95 % interval begins.
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
    let compared = METRICS.iter().filter_map(|metric| {
        let figures = (metric.figures(a), metric.figures(b));
        if matches!(figures, (None, None)) {
            return None;
        }
        let unsaid = unsaid(figures.0.as_ref(), a.len(), "A")
            .or_else(|| unsaid(figures.1.as_ref(), b.len(), "B"));
        Some(judged(metric, &figures, unsaid, tolerance))
    });
    let metrics: Vec<Compared> = compared.collect();
    Comparison {
        version: version.to_owned(),
        a: side(a),
        b: side(b),
        tolerance,
        differences: differences::differences(a, b),
        gates: fail_if.iter().map(|gate| gate.judged(&metrics)).collect(),
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

/// Why a side is not enough for an interval.
fn unsaid(figures: Option<&Figures>, runs: usize, side: &str) -> Option<String> {
    let Some(figures) = figures else { return Some(format!("no run of {side} has it")) };
    let known = figures.runs();
    if known < FEWEST_RUNS {
        let of = if known < runs { format!("{known} of {runs} runs") } else { told(runs) };
        return Some(format!(
            "{side} has it of {of}; how much runs differ takes at least {FEWEST_RUNS}"
        ));
    }
    match figures {
        Figures::Quantile(quantile) if quantile.beyond() < FEWEST_BEYOND => Some(format!(
            "{side} has {} values beyond it; it takes {FEWEST_BEYOND}",
            quantile.beyond()
        )),
        _ => None,
    }
}

fn told(runs: usize) -> String {
    if runs == 1 { "1 run".to_owned() } else { format!("{runs} runs") }
}

fn judged(
    metric: &Metric,
    (a, b): &(Option<Figures>, Option<Figures>),
    unsaid: Option<String>,
    tolerance: f64,
) -> Compared {
    let value = |figures: &Option<Figures>| figures.as_ref().map(Replicates::together);
    let mut compared = Compared {
        metric: metric.name,
        a: value(a),
        b: value(b),
        ratio: None,
        low: None,
        high: None,
        outcome: Outcome::NotClear,
        why: unsaid,
    };
    let (Some(a), Some(b)) = (a, b) else { return compared };
    compared.ratio = Some(ratio(a.together(), b.together()));
    let Some(interval) = bootstrap::interval(a, b, SEED) else { return compared };
    (compared.low, compared.high) = (Some(interval.low), Some(interval.high));
    if compared.why.is_none() {
        compared.outcome = compared.shown(tolerance, metric.higher_is_better);
    }
    compared
}

impl Compared {
    /// What the interval shows.
    fn shown(&self, tolerance: f64, higher_is_better: bool) -> Outcome {
        let (Some(ratio), Some(low), Some(high)) = (self.ratio, self.low, self.high) else {
            return Outcome::NotClear;
        };
        let (least, most) = (1.0 - tolerance, 1.0 + tolerance);
        if low >= least && high <= most {
            return Outcome::Same;
        }
        let rises = low > 1.0 && ratio > most;
        let falls = high < 1.0 && ratio < least;
        match (rises, falls) {
            (false, false) => Outcome::NotClear,
            (rises, _) if rises == higher_is_better => Outcome::Better,
            _ => Outcome::Worse,
        }
    }

    /// How its values are written.
    fn unit(&self) -> metric::Unit {
        let metric = METRICS.iter().find(|metric| metric.name == self.metric);
        metric.map_or(metric::Unit::Share, |metric| metric.unit)
    }
}

#[cfg(test)]
mod tests;
