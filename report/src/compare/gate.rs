//! `--fail-if 'accept_p99 > 10%'`: a change that makes the comparison fail.

use super::bootstrap::{FEWEST_RUNS, Interval};
use super::measured::{Change, Measured};
use super::metric::{METRICS, Metric};
use super::permutation::ByChance;
use super::words;
use serde::Serialize;
use std::str::FromStr;

/// A change of a metric, from A to B, that must not be.
#[derive(Clone, Debug, PartialEq)]
pub struct FailIf {
    metric: &'static str,
    /// Whether it must not rise above `limit`; else it must not fall below.
    rises: bool,
    /// 0.1 is ten percent more than A has, -0.1 ten percent less.
    limit: f64,
    text: String,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gate {
    /// As it was given.
    pub fail_if: String,
    /// Whether it holds, so that the comparison fails; `None`: the runs do not show it.
    pub failed: Option<bool>,
    /// The change, in words.
    pub got: String,
}

impl FromStr for FailIf {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = "expected a metric, > or <, and a change in percent, such as \
                        'accept_p99 > 10%' or 'throughput < -5%'";
        let at = text.find(['<', '>']).ok_or(expected)?;
        let (name, rest) = text.split_at(at);
        let metric = Metric::named(name.trim()).map_err(|nearest| {
            let meant = nearest.map(|near| format!("did you mean {near}? ")).unwrap_or_default();
            let all: Vec<&str> = METRICS.iter().map(|metric| metric.name).collect();
            format!("unknown metric \"{}\"; {meant}There are {}", name.trim(), all.join(", "))
        })?;
        let number = rest[1..].trim().strip_suffix('%').ok_or(expected)?;
        let percent: f64 = number.trim().parse().map_err(|_| expected)?;
        let rises = rest.starts_with('>');
        if !percent.is_finite() || rises == (percent < 0.0) && percent != 0.0 {
            return Err(format!(
                "{expected}: > takes a change of at least 0%, < one of at most 0%"
            ));
        }
        let text = text.trim().to_owned();
        Ok(Self { metric: metric.name, rises, limit: percent / 100.0, text })
    }
}

impl FailIf {
    /// Looks it up among what was measured. It holds if the change exceeds the limit and the interval, one
    /// of so many demands', excludes "no change"; if the first alone is so, more runs are needed.
    pub(crate) fn judged(&self, measured: &[Measured], demands: usize) -> Gate {
        let gate = |failed, got: String| Gate { fail_if: self.text.clone(), failed, got };
        let found = measured.iter().find(|one| one.metric.name == self.metric);
        let Some(measured) = found else {
            return gate(None, "no run has it".to_owned());
        };
        let mut why = measured.unsaid.clone();
        let Some(Change { ratio, interval: Interval { low, high } }) = measured.change(demands)
        else {
            let few = || format!("it takes at least {FEWEST_RUNS} runs a side");
            return gate(None, why.unwrap_or_else(few));
        };
        let exceeds = if self.rises { ratio > 1.0 + self.limit } else { ratio < 1.0 + self.limit };
        let is_apart = if self.rises { low > 1.0 } else { high < 1.0 };
        if exceeds && is_apart && why.is_none() {
            let way = |chance: ByChance| if self.rises { chance.rise } else { chance.fall };
            why = measured.too_often(demands, way);
        }
        let failed = match (exceeds, is_apart && why.is_none()) {
            (true, false) => None,
            (exceeds, _) => Some(exceeds),
        };
        gate(failed, words::changed(Some(ratio), Some((low, high)), why.as_deref()))
    }
}
