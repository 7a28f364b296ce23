//! A level of load: one whole run at one rate, and whether it was sustained.

use super::saturation::{self, Saturated};
use super::usl::Point;
use crate::expectation::Expectation;
use crate::measured::{Measured, Second};
use crate::number;
use crate::verdict_file::VerdictFile;
use serde::Serialize;
use verify::history::event::Phase;
use verify::verdict::Verdict;

const SECOND_US: u64 = 1_000_000;
/// At least this share of what was sent is accepted as fast as it is sent, where a rate is sustained.
const ACHIEVED: f64 = 0.99;
/// The beginning of the load that is left out, as a part of it: nothing is in flight yet.
const BEGINNING: u64 = 10;

/// What became of a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Valid, within the thresholds, and accepted as fast as it was sent.
    Sustained,
    /// The cluster did not manage.
    Broken,
    /// The generator, or its machine, met a limit of its own, or other work had the machine: it says nothing
    /// of the cluster.
    GeneratorLimited,
    /// Nothing is known, for another reason.
    Unknown,
}

/// One run at one rate.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Level {
    /// Operations per second that were asked for.
    pub rate: f64,
    /// The seed.
    pub seed: u64,
    /// Whether it is the long run at the end.
    pub is_hold: bool,
    /// What became of it.
    pub outcome: Outcome,
    /// Why it is not sustained: a sentence each.
    pub why: Vec<String>,
    /// Messages, edits and deletions sent per second, after the beginning of the load.
    pub sent: Option<f64>,
    /// Of these, accepted per second.
    pub accepted: Option<f64>,
    /// Whether what was sent was accepted as fast, so that no backlog grew.
    pub is_steady: bool,
    /// The mean time until accepted.
    pub mean_us: Option<f64>,
    /// The 99th percentile of the same.
    pub accept_p99_us: Option<u64>,
    /// The 99th percentile until shown elsewhere.
    pub deliver_p99_us: Option<u64>,
    /// Processors that each process kept busy during the load.
    pub cpu: Vec<(String, f64)>,
    /// What was at its limit.
    pub saturated: Vec<Saturated>,
    /// Where its report is, seen from the page.
    pub folder: Option<String>,
}

impl Level {
    /// What a run at a rate has shown.
    pub fn of(rate: f64, is_hold: bool, folder: Option<String>, file: &VerdictFile) -> Self {
        let measured = &file.measured;
        let rates = rates(measured);
        let (outcome, why) = judged(file, rates);
        let processors = file.machine.as_ref().map_or(0, |machine| machine.processors);
        Self {
            rate,
            seed: file.seed,
            is_hold,
            outcome,
            why,
            sent: rates.map(|rates| rates.sent),
            accepted: rates.map(|rates| rates.accepted),
            // What a run that ended early has in flight is neither over nor lost.
            is_steady: measured.unmeetable.is_none()
                && rates.is_some_and(|rates| keeps_up(rates, measured)),
            mean_us: measured.accept.mean_us,
            accept_p99_us: measured.accept.all.p99_us,
            deliver_p99_us: measured.deliver.all.p99_us,
            cpu: saturation::cpu(measured),
            saturated: saturation::saturated(measured, processors),
            folder,
        }
    }

    /// As the law of scalability sees it; `None`: more and more was in flight, so that its number says
    /// how long the level lasted, or the generator was the limit.
    pub fn point(&self) -> Option<Point> {
        let says_something = matches!(self.outcome, Outcome::Sustained | Outcome::Broken);
        let throughput = self.accepted.filter(|_| self.is_steady && says_something)?;
        let in_flight = throughput * self.mean_us? / 1e6;
        (in_flight > 0.0).then_some(Point { in_flight, throughput })
    }
}

/// What was sent and accepted per second of a window, and how many operations that were.
#[derive(Clone, Copy, Debug)]
struct Rates {
    sent: f64,
    accepted: f64,
    seconds: f64,
}

/// Of the whole seconds of the load, without its beginning.
fn rates(measured: &Measured) -> Option<Rates> {
    let (from_us, to_us) = load(measured)?;
    let from_us = from_us + (to_us.saturating_sub(from_us) / BEGINNING).max(SECOND_US / 2);
    let from = from_us.div_ceil(SECOND_US) as usize;
    let seconds = measured.seconds.get(from..(to_us / SECOND_US) as usize)?;
    let sum = |of: fn(&Second) -> u32| seconds.iter().map(|one| f64::from(of(one))).sum::<f64>();
    let count = seconds.len() as f64;
    (count > 0.0).then(|| Rates {
        sent: sum(|second| second.sent) / count,
        accepted: sum(|second| second.accepted) / count,
        seconds: count,
    })
}

/// From when to when the load lasted.
pub(super) fn load(measured: &Measured) -> Option<(u64, u64)> {
    let load = measured.phases.iter().position(|mark| mark.phase == Phase::Load)?;
    let ends_us = measured.phases.get(load + 1).map_or(measured.ended_us, |mark| mark.at_us);
    Some((measured.phases[load].at_us, ends_us))
}

fn judged(file: &VerdictFile, rates: Option<Rates>) -> (Outcome, Vec<String>) {
    let limits = &file.measured.totals.limits;
    let missed = file.expectations.iter().filter(|one| one.is_missed_bound());
    let (late, missed): (Vec<_>, Vec<_>) = missed.partition(|one| one.is_of_generator());
    let open = file.expectations.iter().filter(|one| one.what != "outcome" && one.met.is_none());
    let open = || open.clone().map(|one| format!("{}: {}", one.what, one.got)).collect();
    if let (Verdict::Unknown, true, Some(why)) =
        (file.verdict, limits.is_empty(), &file.measured.unmeetable)
    {
        // It ended early because of a bound.
        return if file.measured.is_broken_for_certain(&file.expectations) {
            (Outcome::Broken, vec![why.clone()])
        } else if !late.is_empty() {
            (Outcome::GeneratorLimited, missed_bounds(&late))
        } else {
            (Outcome::GeneratorLimited, open())
        };
    }
    if file.verdict == Verdict::Unknown {
        if limits.is_empty() {
            return (Outcome::Unknown, file.doubts.first().cloned().into_iter().collect());
        }
        let met = limits.iter().map(|(limit, times)| match times {
            1 => format!("{limit} once"),
            more => format!("{limit} {} times", number::count(*more)),
        });
        return (Outcome::GeneratorLimited, met.collect());
    }
    let mut broken = Vec::new();
    let violated = file.findings.iter().filter(|found| found.verdict == Verdict::Violated);
    broken.extend(violated.map(|found| format!("violated: {}", found.invariant)));
    broken.extend(missed_bounds(&missed));
    let Some(rates) = rates else {
        return (Outcome::Unknown, vec!["it had no whole second of load".to_owned()]);
    };
    let mut limited = missed_bounds(&late);
    if !keeps_up(rates, &file.measured) {
        let missing = 1.0 - rates.accepted / rates.sent.max(f64::MIN_POSITIVE);
        if let Some(why) = file.measured.machine_may_explain(missing) {
            limited.push(why);
        } else {
            let words = [rates.accepted, rates.sent].map(number::three_digits);
            let behind = format!("{}/s were accepted of {}/s that were sent", words[0], words[1]);
            broken.push(behind);
        }
    }
    // What a judge says stands, and so does a bound that no machine explains.
    if !broken.is_empty() {
        return (Outcome::Broken, broken);
    }
    if !limited.is_empty() {
        return (Outcome::GeneratorLimited, limited);
    }
    let is_late = file.expectations.iter().any(Expectation::is_open_for_the_generator);
    match open() {
        open if open.is_empty() => (Outcome::Sustained, open),
        open if is_late => (Outcome::GeneratorLimited, open),
        open => (Outcome::Unknown, open),
    }
}

/// In a sentence each.
fn missed_bounds(missed: &[&Expectation]) -> Vec<String> {
    let words = |one: &&Expectation| format!("{}: {}, wanted {}", one.what, one.got, one.wanted);
    missed.iter().map(words).collect()
}

/// Whether what was sent was accepted as fast. What is in flight differs between the beginning and the
/// end of the window by chance, even where it does not grow: by the deviation of two Poisson counts.
fn keeps_up(rates: Rates, measured: &Measured) -> bool {
    let mean_us = measured.accept.mean_us.unwrap_or(0.0);
    let in_flight = rates.accepted * mean_us.min(1e6) / 1e6;
    let by_chance = 3.0 * (2.0 * in_flight).sqrt() + 1.0;
    rates.accepted * rates.seconds + by_chance >= rates.sent * rates.seconds * ACHIEVED
}

#[cfg(test)]
mod tests;
