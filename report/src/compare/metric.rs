//! What is compared: the figures, their names, and which direction is better.

use super::replicates::{Figures, Quantile};
use crate::measure::latency::{Distribution, Split};
use crate::measured::Recovery;
use crate::number;
use crate::past_run::PastRun;

/// A figure of a run.
pub(crate) struct Metric {
    /// As `--fail-if` names it.
    pub(crate) name: &'static str,
    pub(crate) unit: Unit,
    pub(crate) higher_is_better: bool,
    source: Source,
}

/// How its values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Microseconds,
    PerSecond,
    Share,
}

/// Where its values come from.
enum Source {
    Quantile(fn(&PastRun) -> Option<Distribution>, f64),
    /// A sum over another; `None`: this run does not have it.
    Share(fn(&PastRun) -> Option<(f64, f64)>),
}

const fn latency(
    name: &'static str,
    of: fn(&PastRun) -> Option<Distribution>,
    quantile: f64,
) -> Metric {
    let (unit, source) = (Unit::Microseconds, Source::Quantile(of, quantile));
    Metric { name, unit, higher_is_better: false, source }
}

const fn share(
    name: &'static str,
    unit: Unit,
    higher_is_better: bool,
    of: fn(&PastRun) -> Option<(f64, f64)>,
) -> Metric {
    Metric { name, unit, higher_is_better, source: Source::Share(of) }
}

const ACCEPT: fn(&PastRun) -> Option<Distribution> = |run| some(run.latencies.accept.all());
const DELIVER: fn(&PastRun) -> Option<Distribution> = |run| some(run.latencies.deliver.all());
const REQUESTS: fn(&PastRun) -> Option<Distribution> = |run| some(run.latencies.requests.all());

fn some(distribution: Distribution) -> Option<Distribution> {
    (!distribution.is_empty()).then_some(distribution)
}

/// What was calm in a run that had faults; of one without, that is all.
fn calm(split: &Split) -> Option<Distribution> {
    some(split.calm.clone()).filter(|_| !split.under_fault.is_empty())
}

/// All of them, in the order in which they are shown.
pub(crate) const METRICS: [Metric; 21] = [
    latency("accept_p50", ACCEPT, 0.5),
    latency("accept_p90", ACCEPT, 0.9),
    latency("accept_p99", ACCEPT, 0.99),
    latency("accept_p99.9", ACCEPT, 0.999),
    latency("accept_calm_p99", |run| calm(&run.latencies.accept), 0.99),
    latency("accept_under_faults_p99", |run| some(run.latencies.accept.under_fault.clone()), 0.99),
    latency("accept_steady_p99", |run| some(run.steady.as_ref()?.accept.all()), 0.99),
    latency("deliver_p50", DELIVER, 0.5),
    latency("deliver_p90", DELIVER, 0.9),
    latency("deliver_p99", DELIVER, 0.99),
    latency("deliver_p99.9", DELIVER, 0.999),
    latency("deliver_calm_p99", |run| calm(&run.latencies.deliver), 0.99),
    latency(
        "deliver_under_faults_p99",
        |run| some(run.latencies.deliver.under_fault.clone()),
        0.99,
    ),
    latency("deliver_steady_p99", |run| some(run.steady.as_ref()?.deliver.all()), 0.99),
    latency("requests_p50", REQUESTS, 0.5),
    latency("requests_p99", REQUESTS, 0.99),
    share("throughput", Unit::PerSecond, true, |run| Some((run.file.measured.throughput()?, 1.0))),
    share("cpu_per_message", Unit::Microseconds, false, |run| {
        let accepted = run.file.measured.totals.accepted as f64;
        (accepted > 0.0).then_some((run.file.took.cpu_s * 1e6, accepted))
    }),
    share("refused", Unit::Share, false, |run| Some((run.file.measured.refused()?, 1.0))),
    share("requests_failed", Unit::Share, false, |run| {
        Some((run.file.measured.failed_requests()?, 1.0))
    }),
    share("recovery", Unit::Microseconds, false, |run| match run.file.measured.recovery() {
        Recovery::Unknown => None,
        // It is known to a second.
        Recovery::After(us) => Some((us.div_ceil(SECOND_US).max(1) as f64 * SECOND_US as f64, 1.0)),
        Recovery::Never => Some((f64::INFINITY, 1.0)),
    }),
];

const SECOND_US: u64 = 1_000_000;

impl Metric {
    /// The metric of a name, or what may have been meant.
    pub(crate) fn named(name: &str) -> Result<&'static Self, Option<&'static str>> {
        static ALL: [Metric; METRICS.len()] = METRICS;
        let found = ALL.iter().find(|metric| metric.name == name);
        found.ok_or_else(|| scenarios::nearest(name, ALL.iter().map(|metric| metric.name)))
    }

    /// What the runs that have it say; `None`: none has.
    pub(crate) fn figures<'a>(&self, runs: impl Iterator<Item = &'a PastRun>) -> Option<Figures> {
        match self.source {
            Source::Quantile(of, quantile) => {
                let runs: Vec<Distribution> = runs.filter_map(of).collect();
                (!runs.is_empty()).then(|| Figures::Quantile(Quantile::new(quantile, &runs)))
            }
            Source::Share(of) => {
                let runs: Vec<(f64, f64)> = runs.filter_map(of).collect();
                (!runs.is_empty()).then_some(Figures::Share(runs))
            }
        }
    }
}

impl Unit {
    /// A value in words.
    pub(crate) fn words(self, value: f64) -> String {
        match self {
            _ if value.is_infinite() => "never".to_owned(),
            Self::Microseconds => number::latency(value.round() as u64),
            Self::PerSecond => format!("{}/s", number::three_digits(value)),
            Self::Share => format!("{:.2} %", value * 100.0),
        }
    }
}
