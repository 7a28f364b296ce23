//! What is met, missed, or open.

use super::expectations;
use crate::measured::disk::tests::stalled;
use crate::measured::processors::tests::crowded;
use crate::measured::{Measured, Percentiles, Recovery, Requests};
use crate::sample;
use scenarios::scenario::{
    ExpectedOutcome, LatencyBounds, OperationBounds, PercentileBounds, RequestBounds, Thresholds,
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
    for (p99_us, met) in [(Some(250_000), Some(true)), (Some(250_001), Some(false)), (None, None)] {
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
fn what_the_machine_may_explain_is_open() {
    let second = Some(Duration::from_secs(1));
    let bounds = PercentileBounds { p50: second, p90: second, p95: None, p99: second, max: second };
    let accept = LatencyBounds { all: bounds, ..LatencyBounds::default() };
    let wanted = Thresholds { accept, ..Thresholds::default() };
    // So many seconds each.
    let with = |mut measured: Measured, [p50, p90, p99]: [u64; 3]| {
        let us = |seconds: u64| Some(seconds * 1_000_000);
        let (p50_us, p90_us, p99_us, max_us) = (us(p50), us(p90), us(p99), us(9));
        let count = 100;
        measured.accept.all =
            Percentiles { count, p50_us, p90_us, p99_us, max_us, ..Percentiles::default() };
        measured
    };
    let open = |measured: &Measured| -> Vec<String> {
        let all = check(&wanted, measured);
        all.into_iter().filter(|(.., met)| met.is_none()).map(|(what, ..)| what).collect()
    };
    // For one per cent of the time, which may have delayed three per cent of the operations.
    let stalls = || stalled(Some(200));
    let late = with(stalls(), [0, 0, 9]);
    assert_eq!(open(&late), ["accept_p99", "accept_max"]);
    let (_, got, _) = &check(&wanted, &late)[2];
    assert!(got.contains("9.00 s (100 measured); the disk stalled for 1.0 %"), "{got}");
    let of_generator = Thresholds { lateness: bounds, ..Thresholds::default() };
    let own = Measured { lateness: late.accept.all, ..late };
    let met = check(&of_generator, &own).into_iter().map(|(.., met)| met);
    assert_eq!(met.collect::<Vec<_>>(), [Some(true), Some(true), Some(false), Some(false)]);
    assert_eq!(open(&with(stalls(), [0, 9, 9])), [""; 0], "a tenth was late");
    assert_eq!(open(&with(stalled(None), [0, 0, 9])), [""; 0]);
    // Half of a tenth of all of them.
    let mut late = with(stalls(), [0, 0, 9]);
    late.accept.under_fault = Percentiles { count: 10, ..with(stalls(), [9, 9, 9]).accept.all };
    late.accept.calm = Percentiles { count: 5, ..late.accept.under_fault };
    let accept = LatencyBounds { calm: bounds, under_faults: bounds, ..LatencyBounds::default() };
    let of_parts = Thresholds { accept, ..Thresholds::default() };
    let parts = check(&of_parts, &late);
    let open_parts = parts.iter().filter(|(.., met)| met.is_none()).map(|(what, ..)| &**what);
    let expected = ["p50", "p90", "p99", "max"].map(|of| format!("accept_calm_{of}"));
    assert_eq!(open_parts.collect::<Vec<_>>(), expected);
    // Other work had the processors for five per cent of the time.
    let late = with(crowded(1), [0, 9, 9]);
    assert_eq!(open(&late), ["accept_p90", "accept_p99", "accept_max"]);
    assert_eq!(open(&with(crowded(1), [9, 9, 9])), [""; 0], "half of them were late");
}

#[test]
fn what_the_generator_sent_late_is_open() {
    let bounds = PercentileBounds {
        p50: Some(Duration::from_millis(50)),
        p99: Some(Duration::from_millis(50)),
        ..PercentileBounds::default()
    };
    let of = |all| LatencyBounds { all, ..LatencyBounds::default() };
    let requests = RequestBounds { all: bounds, ..RequestBounds::default() };
    let lateness = PercentileBounds { p50: None, ..bounds };
    let (accept, deliver) = (of(bounds), of(bounds));
    let wanted = Thresholds { accept, deliver, requests, lateness, ..Thresholds::default() };
    let of = |p99_us, p50_us| {
        let (p99_us, p50_us) = (Some(p99_us), Some(p50_us));
        Percentiles { count: 100, p50_us, p99_us, ..Percentiles::default() }
    };
    let mut measured = with_everything();
    measured.accept.all = of(110_000, 55_000);
    measured.accept.from_sent.all = of(50_000, 51_000);
    measured.deliver.all = of(111_000, 49_000);
    measured.deliver.from_sent.all = of(51_000, 49_000);
    measured.requests_all = Some(of(90_000, 0));
    measured.lateness = of(60_000, 4_000);
    let expected = [
        ("accept_p50", Some(false)),
        ("accept_p99", None),
        ("deliver_p50", Some(true)),
        ("deliver_p99", Some(false)),
        ("lateness_p99", Some(false)),
        ("requests_p50", Some(true)),
        ("requests_p99", Some(false)),
    ];
    let got = check(&wanted, &measured);
    let met: Vec<_> = got.iter().map(|(what, _, met)| (&**what, *met)).collect();
    assert_eq!(met, expected);
    let told =
        "110 ms (100 measured); the generator sent late, and counted from then it is 50.0 ms";
    assert_eq!(got[1].1, told);
}

#[test]
fn what_was_not_measured_is_neither_met_nor_unmet() {
    for (what, got, met) in check(&everything(Duration::from_secs(9)), &Measured::default()) {
        let why = if what.contains("_steady_") { "no steady state" } else { "nothing measured" };
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
