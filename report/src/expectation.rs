//! What the scenario's `[expect]` demands, beside what came out.

use crate::measured::{Latency, Measured, Operations, Percentiles, Recovery, Steady};
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
    let percentiles = [
        ("accept", &accept.all, &measured.accept.all),
        ("accept_calm", &accept.calm, &measured.accept.calm),
        ("accept_under_faults", &accept.under_faults, &measured.accept.under_fault),
        ("deliver", &deliver.all, &measured.deliver.all),
        ("deliver_calm", &deliver.calm, &measured.deliver.calm),
        ("deliver_under_faults", &deliver.under_faults, &measured.deliver.under_fault),
        ("lateness", lateness, &measured.lateness),
    ];
    let mut expectations: Vec<Expectation> = percentiles
        .into_iter()
        .flat_map(|(what, bounds, of_it)| within_bounds(what, bounds, of_it, measured))
        .chain(by_operation("accept", &accept.operations, &measured.accept.operations, measured))
        .chain(by_operation("deliver", &deliver.operations, &measured.deliver.operations, measured))
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
        open_if_disk_stalled(of_it, missing, measured)
    }));
    expectations.extend(recovery.map(|limit| {
        let (got, met) = match measured.recovery() {
            Recovery::Unknown => (None, None),
            Recovery::Never => (Some("never".to_owned()), Some(false)),
            Recovery::After(us) => (Some(recovered(us)), Some(us <= number::micros(limit))),
        };
        let wanted = format!("at most {}", number::latency(number::micros(limit)));
        // It is a matter of the slowest tenth.
        open_if_disk_stalled(expectation("recovery", wanted, got, met), 0.1, measured)
    }));
    expectations
}

/// A demand is open, not missed, if a disk that stalled may be what was late: this share of the operations.
fn open_if_disk_stalled(one: Expectation, late: f64, measured: &Measured) -> Expectation {
    let why = if one.met == Some(false) { measured.disk_may_explain(late) } else { None };
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
    let mut expectations =
        within_bounds(what, bounds, &latency.steady.unwrap_or_default(), measured);
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
    operations: &Operations,
    measured: &Measured,
) -> impl Iterator<Item = Expectation> {
    let OperationBounds { send, reply, edit, delete } = bounds;
    let named = [send, reply, edit, delete].into_iter().zip(operations.named());
    named.flat_map(move |(bounds, (operation, of_it))| {
        within_bounds(&format!("{what}_{operation}"), bounds, of_it, measured)
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
    let mut expectations = within_bounds("requests", &bounds.all, &all, measured);
    for (request, name, bounds) in of_kind {
        let of_it = measured.requests.iter().find(|one| one.request == request);
        let percentiles = of_it.map(|one| one.all).unwrap_or_default();
        expectations.extend(within_bounds(
            &format!("requests_{name}"),
            bounds,
            &percentiles,
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

fn within_bounds(
    what: &str,
    bounds: &PercentileBounds,
    of_it: &Percentiles,
    measured: &Measured,
) -> Vec<Expectation> {
    // Which share of the operations each is a matter of.
    let all = [
        ("p50", 0.5, bounds.p50, of_it.p50_us),
        ("p90", 0.1, bounds.p90, of_it.p90_us),
        ("p95", 0.05, bounds.p95, of_it.p95_us),
        ("p99", 0.01, bounds.p99, of_it.p99_us),
        ("max", 0.0, bounds.max, of_it.max_us),
    ];
    let bound = |(name, slowest, limit, us): (&str, f64, Option<Duration>, Option<u64>)| {
        let limit_us = number::micros(limit?);
        let count = number::count(of_it.count);
        let got = us.map(|us| format!("{} ({count} measured)", number::latency(us)));
        let wanted = format!("at most {}", number::latency(limit_us));
        let met = us.map(|us| us <= limit_us);
        let one = expectation(&format!("{what}_{name}"), wanted, got, met);
        // The generator itself waits for no disk.
        let is_open = what != "lateness";
        Some(if is_open { open_if_disk_stalled(one, slowest, measured) } else { one })
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

fn outcome(wanted: &ExpectedOutcome, judgement: &Judgement) -> Expectation {
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
mod tests {
    use super::expectations;
    use crate::measured::disk::tests::stalled;
    use crate::measured::{Measured, Percentiles, Recovery, Requests};
    use crate::sample;
    use scenarios::scenario::{
        ExpectedOutcome, LatencyBounds, OperationBounds, PercentileBounds, RequestBounds,
        Thresholds,
    };
    use std::time::Duration;
    use verify::history::event::Request;
    use verify::verdict::Verdict::{self, Unknown, Valid, Violated};

    #[test]
    fn the_outcome_is_met_only_by_a_verdict() {
        let survives = || vec!["accepted_message_survives".to_owned()];
        let other = || vec!["no_gap_in_sequence".to_owned()];
        let wanted = ExpectedOutcome::Violates;
        for (wanted, verdict, met) in [
            (ExpectedOutcome::Valid, Valid, Some(true)),
            (ExpectedOutcome::Valid, Violated, Some(false)),
            (ExpectedOutcome::Valid, Unknown, None),
            (wanted(survives()), Violated, Some(true)),
            (wanted(other()), Violated, Some(false)),
            (wanted(survives()), Valid, Some(false)),
            (wanted(survives()), Unknown, None),
        ] {
            let mut scenario = sample::scenario();
            scenario.expect.outcome = wanted.clone();
            let judgement = sample::judgement_of(verdict);
            let got = expectations(&scenario, &judgement, &Measured::default());
            assert_eq!(got[0].met, met, "{wanted:?} {verdict:?}");
        }
    }

    #[test]
    fn a_bound_on_latency_includes_its_limit() {
        for (p99_us, met) in
            [(Some(250_000), Some(true)), (Some(250_001), Some(false)), (None, None)]
        {
            let mut scenario = sample::scenario();
            scenario.expect.thresholds.accept.all.p99 = Some(Duration::from_millis(250));
            let mut measured = Measured::default();
            measured.accept.all = Percentiles { count: 10, p99_us, ..Percentiles::default() };
            let judgement = sample::judgement_of(Verdict::Valid);
            let got = expectations(&scenario, &judgement, &measured);
            assert_eq!(got.len(), 2);
            assert_eq!(got[1].met, met, "{p99_us:?}");
        }
    }
    /// What became of all demands but the outcome.
    fn check(thresholds: &Thresholds, measured: &Measured) -> Vec<(String, String, Option<bool>)> {
        let mut scenario = sample::scenario();
        scenario.expect.thresholds = *thresholds;
        let got = expectations(&scenario, &sample::judgement_of(Verdict::Valid), measured);
        got.into_iter().skip(1).map(|one| (one.what, one.got, one.met)).collect()
    }

    fn everything(limit: Duration) -> Thresholds {
        let limit = Some(limit);
        let all = PercentileBounds { p50: limit, p90: limit, p95: limit, p99: limit, max: limit };
        let operations = OperationBounds { send: all, reply: all, edit: all, delete: all };
        let latency = LatencyBounds { all, calm: all, under_faults: all, steady: all, operations };
        let requests = RequestBounds {
            all,
            page_backlog: all,
            create_conversation: all,
            add_member: all,
            remove_member: all,
            sign_in: all,
            failed_percent: Some(50.0),
        };
        Thresholds {
            accept: latency,
            deliver: latency,
            lateness: all,
            requests,
            refused_percent: Some(1.0),
            throughput: Some(400.0),
            recovery: limit,
            abort_after: None,
        }
    }

    /// A run in which there was something of every kind.
    fn with_everything() -> Measured {
        let mut measured = sample::measured();
        for latency in [&mut measured.accept, &mut measured.deliver] {
            latency.steady = Some(latency.all);
        }
        let all = measured.accept.all;
        let of_kind = |request| Requests {
            request,
            all,
            calm: all,
            under_fault: Percentiles::default(),
            failed: [(503, all.count / 4)].into(),
        };
        let kinds = [
            Request::PageBacklog,
            Request::CreateConversation,
            Request::AddMember,
            Request::RemoveMember,
            Request::SignIn,
        ];
        measured.requests = kinds.map(of_kind).to_vec();
        measured.requests_all = Some(all);
        measured
    }

    #[test]
    fn every_demand_is_looked_up_under_its_own_name() {
        let measured = with_everything();
        let met = check(&everything(Duration::from_secs(9)), &measured);
        assert_eq!(met.len(), 23 * 5 + 4);
        assert!(met.iter().all(|(.., met)| *met == Some(true)), "{met:?}");
        let unmet = check(&everything(Duration::from_micros(1)), &measured);
        let unmet = unmet.iter().filter(|(.., met)| *met == Some(false)).count();
        assert_eq!(unmet, 23 * 5 + 1, "all but the shares and the throughput");
        let mut names: Vec<&String> = met.iter().map(|(what, ..)| what).collect();
        names.dedup();
        assert_eq!(names.len(), met.len());
        let calm = met.iter().find(|(what, ..)| what == "accept_calm_p95").expect("it is there");
        assert_eq!(calm.1, "21.0 ms (1\u{202f}000 measured)");
        let edits = met.iter().find(|(what, ..)| what == "deliver_edit_p50").expect("it is there");
        assert_eq!(edits.1, "14.0 ms (100 measured)");
    }

    #[test]
    fn what_a_disk_that_stalled_may_explain_is_open() {
        // For one per cent of the time, which may have delayed three per cent of the operations.
        let mut measured = stalled(Some(200));
        measured.accept.all = Percentiles {
            count: 100,
            p50_us: Some(9_000_000),
            p90_us: Some(9_000_000),
            p99_us: Some(9_000_000),
            max_us: Some(9_000_000),
            ..Percentiles::default()
        };
        measured.lateness = measured.accept.all;
        let second = Some(Duration::from_secs(1));
        let bounds =
            PercentileBounds { p50: second, p90: second, p95: None, p99: second, max: second };
        let accept = LatencyBounds { all: bounds, ..LatencyBounds::default() };
        let wanted = Thresholds { accept, lateness: bounds, ..Thresholds::default() };
        let open = |measured: &Measured| -> Vec<String> {
            let all = check(&wanted, measured);
            all.into_iter().filter(|(.., met)| met.is_none()).map(|(what, ..)| what).collect()
        };
        assert_eq!(open(&measured), ["accept_p99", "accept_max"]);
        let (_, got, _) = &check(&wanted, &measured)[2];
        assert!(got.contains("9.00 s (100 measured); the disk stalled for 1.0 %"), "{got}");
        measured.processes = stalled(None).processes;
        assert_eq!(open(&measured), [""; 0]);
    }

    #[test]
    fn what_was_not_measured_is_neither_met_nor_unmet() {
        for (what, got, met) in check(&everything(Duration::from_secs(9)), &Measured::default()) {
            let why =
                if what.contains("_steady_") { "no steady state" } else { "nothing measured" };
            assert!(got.starts_with(why) && met.is_none(), "{what}: {got}");
        }
    }

    #[test]
    fn rates_have_their_own_bounds() {
        let mut measured = sample::measured();
        let only = |refused_percent, throughput, recovery| Thresholds {
            refused_percent,
            throughput,
            recovery,
            ..Thresholds::default()
        };
        measured.totals.rejected.insert("rate_limited".to_owned(), 124);
        let told = |wanted, measured: &Measured| check(&wanted, measured).remove(0);
        let refused = told(only(Some(10.0), None, None), &measured);
        assert_eq!(refused, ("refused".to_owned(), "10.00 %".to_owned(), Some(true)));
        assert_eq!(told(only(Some(9.9), None, None), &measured).2, Some(false));
        // Of the whole seconds of the load, 1 s to 4 s.
        let throughput = told(only(None, Some(414.0), None), &measured);
        assert_eq!(throughput.1, "413/s");
        assert_eq!(throughput.2, Some(false));
        measured.faults[0].recovery = Recovery::Never;
        let never = told(only(None, None, Some(Duration::from_secs(9))), &measured);
        assert_eq!((never.1.as_str(), never.2), ("never", Some(false)));
        measured.faults[0].recovery = Recovery::Unknown;
        assert_eq!(told(only(None, None, Some(Duration::from_secs(9))), &measured).2, None);
    }
}
