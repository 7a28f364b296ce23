//! What the scenario's `[expect]` demands, beside what came out.

use crate::measured::{Latency, Measured, Percentiles, Recovery, Steady};
use crate::number;
use crate::text::notes::within;
use scenarios::Scenario;
use scenarios::scenario::{
    ExpectedOutcome, OperationBounds, PercentileBounds, RequestBounds, Thresholds,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use verify::history::event::Request;
use verify::verdict::{Judgement, Verdict};

/// One demand of a scenario.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expectation {
    /// What it is about: "outcome".
    pub what: String,
    /// What the scenario wants.
    pub wanted: String,
    /// What the run showed.
    pub got: String,
    /// Whether the two agree; `None` if that is unknown.
    pub met: Option<bool>,
}

impl Expectation {
    /// Whether something that was measured missed its bound, and neither machine nor observer may be why.
    pub fn is_missed_bound(&self) -> bool {
        self.what != "outcome" && self.met == Some(false)
    }

    /// Whether it is a demand on the generator, not on the cluster.
    pub(crate) fn is_of_generator(&self) -> bool {
        self.what.starts_with(LATENESS)
    }

    /// Whether it is open because the generator sent late.
    pub(crate) fn is_open_for_the_generator(&self) -> bool {
        self.met.is_none() && self.got.contains(FROM_SENT)
    }
}

/// The generator's own.
const LATENESS: &str = "lateness";
/// How it is told that a bound is open for it.
const FROM_SENT: &str = "the generator sent late, and counted from then it is ";

/// Compares a run with its scenario's demands. The first one is always the outcome.
pub fn expectations(
    scenario: &Scenario,
    judgement: &Judgement,
    measured: &Measured,
) -> Vec<Expectation> {
    let mut expectations = vec![outcome(&scenario.expect.outcome, judgement)];
    expectations.extend(thresholds(&scenario.expect.thresholds, measured));
    expectations
}

/// The demands on what was measured; what was not is neither met nor unmet.
fn thresholds(wanted: &Thresholds, measured: &Measured) -> Vec<Expectation> {
    let Thresholds { accept, deliver, lateness, requests, .. } = wanted;
    let Thresholds { refused_percent, throughput, recovery, .. } = wanted;
    // The last one of each: the whole that it is a part of.
    let accepted = &measured.accept.all;
    let delivered = &measured.deliver.all;
    let (of_accept, of_deliver) = (&measured.accept.from_sent, &measured.deliver.from_sent);
    let percentiles = [
        ("accept", &accept.all, accepted, accepted, Some(&of_accept.all)),
        ("accept_calm", &accept.calm, &measured.accept.calm, accepted, Some(&of_accept.calm)),
        (
            "accept_under_faults",
            &accept.under_faults,
            &measured.accept.under_fault,
            accepted,
            Some(&of_accept.under_fault),
        ),
        ("deliver", &deliver.all, delivered, delivered, Some(&of_deliver.all)),
        ("deliver_calm", &deliver.calm, &measured.deliver.calm, delivered, Some(&of_deliver.calm)),
        (
            "deliver_under_faults",
            &deliver.under_faults,
            &measured.deliver.under_fault,
            delivered,
            Some(&of_deliver.under_fault),
        ),
        (LATENESS, lateness, &measured.lateness, &measured.lateness, None),
    ];
    let mut expectations: Vec<Expectation> = percentiles
        .into_iter()
        .flat_map(|(what, bounds, of_it, all, sent)| {
            within_bounds(what, bounds, (of_it, all, sent), measured)
        })
        .chain(by_operation("accept", &accept.operations, &measured.accept, measured))
        .chain(by_operation("deliver", &deliver.operations, &measured.deliver, measured))
        .chain(of_steady_part("accept_steady", &accept.steady, &measured.accept, measured))
        .chain(of_steady_part("deliver_steady", &deliver.steady, &measured.deliver, measured))
        .chain(of_requests(requests, measured))
        .collect();
    expectations.extend(refused_percent.map(|limit| {
        let percent = measured.refused().map(|share| share * 100.0);
        let met = percent.map(|percent| percent <= limit);
        expectation("refused", format!("at most {limit} %"), percent.map(percent_words), met)
    }));
    expectations.extend(throughput.map(|limit| {
        let rate = measured.throughput();
        let words = |rate| format!("{}/s", number::three_digits(rate));
        let met = rate.map(|rate| rate >= limit);
        let wanted = format!("at least {}", words(limit));
        let of_it = expectation("throughput", wanted, rate.map(words), met);
        let missing = rate.map_or(1.0, |rate| 1.0 - rate / limit);
        open_if_the_machines(of_it, missing, measured)
    }));
    expectations.extend(recovery.map(|limit| {
        let (got, met) = match measured.recovery() {
            Recovery::Unknown => (None, None),
            Recovery::Never => (Some("never".to_owned()), Some(false)),
            Recovery::After(us) => (Some(recovered(us)), Some(us <= number::micros(limit))),
        };
        let wanted = format!("at most {}", number::latency(number::micros(limit)));
        let one = expectation("recovery", wanted, got, met);
        match measured.recovery() {
            Recovery::Never => open_if(one, || measured.machine_may_explain_no_recovery()),
            // It is a matter of the slowest tenth.
            _ => open_if_the_machines(one, 0.1, measured),
        }
    }));
    expectations
}

/// A demand is open, not missed, if its machine may be why it was late: this share of the operations.
fn open_if_the_machines(one: Expectation, late: f64, measured: &Measured) -> Expectation {
    open_if(one, || measured.machine_may_explain(late))
}

/// A demand is open, not missed, if there is another explanation.
fn open_if(one: Expectation, explanation: impl Fn() -> Option<String>) -> Expectation {
    let why = if one.met == Some(false) { explanation() } else { None };
    match why {
        Some(why) => Expectation { met: None, got: format!("{}; {why}", one.got), ..one },
        None => one,
    }
}

/// As "accept_steady_p99"; if there is no such part, it is told why.
fn of_steady_part(
    what: &str,
    bounds: &PercentileBounds,
    latency: &Latency,
    measured: &Measured,
) -> Vec<Expectation> {
    let of_it = latency.steady.unwrap_or_default();
    let sent = latency.from_sent.steady.as_ref();
    let mut expectations = within_bounds(what, bounds, (&of_it, &latency.all, sent), measured);
    if latency.steady.is_none() {
        for one in &mut expectations {
            no_steady_state(measured).clone_into(&mut one.got);
        }
    }
    expectations
}

/// Why nothing is behind the warm-up.
const fn no_steady_state(measured: &Measured) -> &'static str {
    match measured.steady {
        Some(Steady::Never) => "there was no steady state",
        Some(Steady::From { .. }) => "nothing measured",
        None => "no steady state is known: it takes a load of ten seconds",
    }
}

/// As "accept_edit_p99".
fn by_operation(
    what: &str,
    bounds: &OperationBounds,
    latency: &Latency,
    measured: &Measured,
) -> impl Iterator<Item = Expectation> {
    let OperationBounds { send, reply, edit, delete } = bounds;
    let named = latency.operations.named().into_iter().zip(latency.from_sent.operations.named());
    let named = [send, reply, edit, delete].into_iter().zip(named);
    named.flat_map(move |(bounds, ((operation, of_it), (_, sent)))| {
        let parts = (of_it, &latency.all, Some(sent));
        within_bounds(&format!("{what}_{operation}"), bounds, parts, measured)
    })
}

/// As "requests_p99", "requests_page_backlog_p99" and "requests_failed".
fn of_requests(bounds: &RequestBounds, measured: &Measured) -> Vec<Expectation> {
    let of_kind = [
        (Request::PageBacklog, "page_backlog", &bounds.page_backlog),
        (Request::CreateConversation, "create_conversation", &bounds.create_conversation),
        (Request::AddMember, "add_member", &bounds.add_member),
        (Request::RemoveMember, "remove_member", &bounds.remove_member),
        (Request::SignIn, "sign_in", &bounds.sign_in),
    ];
    let all = measured.requests_all.unwrap_or_default();
    let mut expectations = within_bounds("requests", &bounds.all, (&all, &all, None), measured);
    for (request, name, bounds) in of_kind {
        let of_it = measured.requests.iter().find(|one| one.request == request);
        let percentiles = of_it.map(|one| one.all).unwrap_or_default();
        expectations.extend(within_bounds(
            &format!("requests_{name}"),
            bounds,
            (&percentiles, &all, None),
            measured,
        ));
    }
    expectations.extend(bounds.failed_percent.map(|limit| {
        let percent = measured.failed_requests().map(|share| share * 100.0);
        let met = percent.map(|percent| percent <= limit);
        let wanted = format!("at most {limit} %");
        expectation("requests_failed", wanted, percent.map(percent_words), met)
    }));
    expectations
}

/// A percentile: the share of the operations of which it is the fastest, its limit, what it was, and what it was
/// counted from when they were sent.
type Bound<'a> = (&'a str, f64, Option<Duration>, Option<u64>, Option<u64>);

/// Of a part of a series, of the whole of it, and of the part counted from when operations were sent.
fn within_bounds(
    what: &str,
    bounds: &PercentileBounds,
    (of_it, whole, sent): (&Percentiles, &Percentiles, Option<&Percentiles>),
    measured: &Measured,
) -> Vec<Expectation> {
    // Of a machine's time it is known which share was lost in all.
    let part = of_it.count as f64 / whole.count.max(1) as f64;
    let sent = sent.copied().unwrap_or_default();
    let all = [
        ("p50", 0.5, bounds.p50, of_it.p50_us, sent.p50_us),
        ("p90", 0.1, bounds.p90, of_it.p90_us, sent.p90_us),
        ("p95", 0.05, bounds.p95, of_it.p95_us, sent.p95_us),
        ("p99", 0.01, bounds.p99, of_it.p99_us, sent.p99_us),
        ("max", 0.0, bounds.max, of_it.max_us, sent.max_us),
    ];
    let bound = |(name, _, limit, us, sent_us): Bound<'_>| {
        let limit_us = number::micros(limit?);
        // At least so many were late: where the median is, half of them, whatever the bound is about.
        let late = all.iter().filter(|(.., us, _)| us.is_some_and(|us| us > limit_us));
        let late = late.map(|(_, slowest, ..)| *slowest * part).fold(0.0, f64::max);
        let count = number::count(of_it.count);
        let got = us.map(|us| format!("{} ({count} measured)", number::latency(us)));
        let wanted = format!("at most {}", number::latency(limit_us));
        let met = us.map(|us| us <= limit_us);
        let one = expectation(&format!("{what}_{name}"), wanted, got, met);
        // That of the generator is a demand on the machine.
        if what == LATENESS {
            return Some(one);
        }
        let one = open_if(one, || {
            let us = sent_us.filter(|us| *us <= limit_us)?;
            Some(format!("{FROM_SENT}{}", number::latency(us)))
        });
        Some(open_if_the_machines(one, late, measured))
    };
    all.into_iter().filter_map(bound).collect()
}

fn expectation(what: &str, wanted: String, got: Option<String>, met: Option<bool>) -> Expectation {
    let got = got.unwrap_or_else(|| "nothing measured".to_owned());
    Expectation { what: what.to_owned(), wanted, got, met }
}

fn percent_words(percent: f64) -> String {
    format!("{percent:.2} %")
}

fn recovered(us: u64) -> String {
    format!("within {}", within(us))
}

pub(crate) fn outcome(wanted: &ExpectedOutcome, judgement: &Judgement) -> Expectation {
    let violated = violated(judgement);
    let got = match judgement.verdict {
        Verdict::Valid => "valid".to_owned(),
        Verdict::Unknown => "unknown".to_owned(),
        Verdict::Violated => format!("violated: {}", violated.join(", ")),
    };
    let (wanted, met) = match wanted {
        ExpectedOutcome::Valid => ("valid".to_owned(), judgement.verdict == Verdict::Valid),
        // A bad design may break further invariants as well; the named ones it must break.
        ExpectedOutcome::Violates(named) => (
            format!("violated: {}", named.join(", ")),
            judgement.verdict == Verdict::Violated
                && named.iter().all(|name| violated.contains(&name.as_str())),
        ),
    };
    let met = if judgement.verdict == Verdict::Unknown { None } else { Some(met) };
    Expectation { what: "outcome".to_owned(), wanted, got, met }
}

fn violated(judgement: &Judgement) -> Vec<&str> {
    let violated = judgement.findings.iter().filter(|found| found.verdict == Verdict::Violated);
    violated.map(|found| found.invariant.as_str()).collect()
}

#[cfg(test)]
mod tests;
