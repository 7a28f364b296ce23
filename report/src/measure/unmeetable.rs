//! Which thresholds cannot be met any more, whatever the rest of a run brings: arithmetic on what is
//! planned, so that a run can end when its outcome is certain.
//!
//! A percentile q of n values is above its limit if more than (1 − q) n of them are. At most as many values
//! come as operations are planned: once that share of *all planned* ones is above the limit, it stays so. The
//! highest value needs one. How many entries will be shown on other devices is not known beforehand, so of
//! `deliver` only the highest value is certain; of throughput, recovery, requests and the steady part
//! nothing is. What waits for
//! its answer is not counted: it may be refused, and has no latency then.

use super::latency::CLIP_US;
use super::operation::Operation;
use super::recorder::Took;
use crate::number;
use scenarios::scenario::{LatencyBounds, PercentileBounds, Thresholds};
use std::time::Duration;

/// The most that a run will do; the highest number where nobody knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Planned {
    /// Messages, edits and deletions. A reply, an edit or a deletion that has nothing to refer to becomes a
    /// message.
    pub operations: u64,
    /// Of these, replies.
    pub replies: u64,
    /// Of these, edits.
    pub edits: u64,
    /// Of these, deletions.
    pub deletes: u64,
}

/// What a value is of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value {
    Accept(Took),
    Deliver(Took),
    Lateness(u64),
}

/// What values a bound is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    All,
    Calm,
    UnderFaults,
    Operation(Operation),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Series {
    Accept,
    Deliver,
    Lateness,
}

/// A bound, and what is above it so far.
#[derive(Debug)]
struct Bound {
    name: String,
    series: Series,
    of: Of,
    limit_us: u64,
    /// So many values may be above the limit; one more decides.
    allowed: u64,
    above: u64,
}

/// Follows a run.
#[derive(Debug, Default)]
pub(crate) struct Unmeetable {
    bounds: Vec<Bound>,
    /// Refused operations, at most.
    refusals: Option<u64>,
    refused: u64,
    /// How long the load must have lasted.
    after_us: u64,
    load_began_us: Option<u64>,
    /// The first one that was certain.
    certain: Option<String>,
}

impl Unmeetable {
    /// With what a scenario wants; nothing, unless it wants to end early.
    pub(crate) fn of(wanted: &Thresholds, planned: Planned) -> Self {
        let Some(after) = wanted.abort_after else { return Self::default() };
        let mut bounds = Vec::new();
        for (name, series, latency) in [
            ("accept", Series::Accept, &wanted.accept),
            ("deliver", Series::Deliver, &wanted.deliver),
        ] {
            for (suffix, of, percentiles) in parts(latency) {
                let most = (series == Series::Accept).then(|| most(of, planned));
                bounds.extend(bounds_of(
                    &format!("{name}{suffix}"),
                    (series, of),
                    percentiles,
                    most,
                ));
            }
        }
        let of_lateness = (Series::Lateness, Of::All);
        bounds.extend(bounds_of(
            "lateness",
            of_lateness,
            &wanted.lateness,
            Some(planned.operations),
        ));
        let refusals =
            wanted.refused_percent.map(|percent| allowed(planned.operations, percent / 100.0));
        Self { bounds, refusals, after_us: number::micros(after), ..Self::default() }
    }

    pub(crate) fn load_began(&mut self, now: u64) {
        self.load_began_us.get_or_insert(now);
    }

    pub(crate) fn record(&mut self, value: Value) {
        for bound in &mut self.bounds {
            if let Some(us) = bound.takes(value)
                && us > bound.limit_us
            {
                bound.above += 1;
                if bound.above > bound.allowed {
                    self.certain.get_or_insert_with(|| bound.told());
                }
            }
        }
    }

    pub(crate) fn refused(&mut self) {
        self.refused += 1;
        if let Some(allowed) = self.refusals.filter(|allowed| self.refused > *allowed) {
            let told = || {
                format!(
                    "refused cannot be met any more: {} operations were, and {allowed} may be",
                    self.refused
                )
            };
            self.certain.get_or_insert_with(told);
        }
    }

    /// The first threshold that cannot be met any more, in a sentence, once the load has lasted long enough.
    pub(crate) fn told(&self, now: u64) -> Option<&str> {
        let certain = self.certain.as_deref()?;
        let lasted_us = now.saturating_sub(self.load_began_us?);
        (lasted_us >= self.after_us).then_some(certain)
    }
}

impl Bound {
    /// The value, if the bound is about it.
    fn takes(&self, value: Value) -> Option<u64> {
        let (series, took) = match value {
            Value::Accept(took) => (Series::Accept, took),
            Value::Deliver(took) => (Series::Deliver, took),
            Value::Lateness(us) => return (self.series == Series::Lateness).then_some(us),
        };
        let is_of = match self.of {
            Of::All => true,
            Of::Calm => !took.under_fault,
            Of::UnderFaults => took.under_fault,
            Of::Operation(operation) => took.operation == operation,
        };
        // What the generator sent late may be its own doing, and leaves such a bound open.
        (self.series == series && is_of).then_some(took.since_sent_us())
    }

    fn told(&self) -> String {
        let limit = number::latency(self.limit_us);
        let count = match self.above {
            1 => "one".to_owned(),
            more => number::grouped(more, number::COMMA),
        };
        format!("{} cannot be met any more: {count} took longer than {limit}", self.name)
    }
}

/// What `accept` and `deliver` are bounded in.
fn parts(latency: &LatencyBounds) -> [(&'static str, Of, &PercentileBounds); 7] {
    // Where the warm-up ends is known at the end of the run.
    let LatencyBounds { all, calm, under_faults, steady: _, operations } = latency;
    [
        ("", Of::All, all),
        ("_calm", Of::Calm, calm),
        ("_under_faults", Of::UnderFaults, under_faults),
        ("_send", Of::Operation(Operation::Send), &operations.send),
        ("_reply", Of::Operation(Operation::Reply), &operations.reply),
        ("_edit", Of::Operation(Operation::Edit), &operations.edit),
        ("_delete", Of::Operation(Operation::Delete), &operations.delete),
    ]
}

/// So many values come at most.
const fn most(of: Of, planned: Planned) -> u64 {
    match of {
        Of::All | Of::Calm | Of::UnderFaults | Of::Operation(Operation::Send) => planned.operations,
        Of::Operation(Operation::Reply) => planned.replies,
        Of::Operation(Operation::Edit) => planned.edits,
        Of::Operation(Operation::Delete) => planned.deletes,
    }
}

/// The bounds that can become certain; `most` is how many values come, if that is known.
fn bounds_of(
    name: &str,
    (series, of): (Series, Of),
    percentiles: &PercentileBounds,
    most: Option<u64>,
) -> Vec<Bound> {
    let PercentileBounds { p50, p90, p95, p99, max } = *percentiles;
    let bound = |what: &str, limit: Option<Duration>, allowed: Option<u64>| {
        let limit_us = number::micros(limit?);
        let name = format!("{name}_{what}");
        Some(Bound { name, series, of, limit_us, allowed: allowed?, above: 0 })
    };
    let shares = [("p50", p50, 0.5), ("p90", p90, 0.1), ("p95", p95, 0.05), ("p99", p99, 0.01)];
    let shares = shares.into_iter().filter_map(|(what, limit, share)| {
        // Longer latencies count as this in percentiles.
        let limit = limit.filter(|limit| number::micros(*limit) < CLIP_US);
        bound(what, limit, most.map(|most| allowed(most, share)))
    });
    shares.chain(bound("max", max, Some(0))).collect()
}

/// A share of all that come may be above a limit; one more, because a histogram's ranks are rounded.
fn allowed(most: u64, share: f64) -> u64 {
    ((most as f64 * share) as u64).saturating_add(1)
}

#[cfg(test)]
mod tests;
