//! Claims about comparisons of made-up runs: what is the same, what is worse, what cannot be said.

use super::{Comparison, FailIf, Outcome, compare, sides};
use crate::latency_log::Logged;
use crate::measure::latency::Split;
use crate::measured::Recovery;
use crate::past_run::PastRun;
use crate::sample::Stage;
use crate::verdict_file::VerdictFile;
use proptest::prelude::*;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use verify::verdict::Verdict;

/// A run whose latencies lie around a median, and in which every so much else is made of `slow`.
pub(crate) fn run(seed: u64, slow: f64) -> PastRun {
    let mut random = SmallRng::seed_from_u64(seed);
    let of_run = slow * random.random_range(0.99..1.01);
    let mut stage = Stage::of(Verdict::Valid);
    stage.header.seed = seed;
    let mut split = || {
        let mut split = Split::new();
        for _ in 0..3_000 {
            let us = 10_000.0 * of_run * random.random_range(0.5_f64..2.0);
            split.calm.record(us as u64);
        }
        split
    };
    let (accept, deliver) = (split(), split());
    stage.measured.accept.all = accept.calm.percentiles();
    stage.measured.deliver.all = deliver.calm.percentiles();
    PastRun {
        folder: format!("runs/{seed}").into(),
        file: VerdictFile::of(&stage.run()),
        scenario_toml: format!("name = \"a\"\nquestion = \"{seed}\"\n[network]\ntick = \"1ms\"\n"),
        latencies: Logged { accept, deliver, ..Logged::new() },
        steady: None,
    }
}

fn runs(seeds: std::ops::Range<u64>, slow: f64) -> Vec<PastRun> {
    seeds.map(|seed| run(seed, slow)).collect()
}

fn compared(a: &[PastRun], b: &[PastRun]) -> Comparison {
    compare(a, b, 0.05, &[], "0.1.0")
}

fn outcome(compared: &Comparison, metric: &str) -> Outcome {
    compared.metrics.iter().find(|one| one.metric == metric).expect("it was measured").outcome
}

/// Of these seeds: with one in many, chance makes the bounds a little too wide to show it.
#[test]
fn runs_of_one_build_are_the_same() {
    for seed in [1, 1_000] {
        let compared = compared(&runs(seed..seed + 6, 1.0), &runs(seed + 6..seed + 12, 1.0));
        for one in compared.metrics.iter().filter(|one| !one.metric.ends_with("p99.9")) {
            assert_eq!(one.outcome, Outcome::Same, "{one:?}");
        }
        assert_eq!(compared.outcome(), Outcome::Same);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3))]
    #[test]
    fn no_run_of_one_build_is_better_or_worse_than_another(seed in 0_u64..1_000_000) {
        let compared = compared(&runs(seed..seed + 6, 1.0), &runs(seed + 6..seed + 12, 1.0));
        for one in &compared.metrics {
            prop_assert!([Outcome::Same, Outcome::NotClear].contains(&one.outcome), "{one:?}");
        }
    }

    #[test]
    fn a_slowed_side_is_worse_and_the_other_way_round_better(
        seed in 0_u64..1_000_000, slow in 1.15_f64..20.0,
    ) {
        let (a, b) = (runs(seed..seed + 6, 1.0), runs(seed + 6..seed + 12, slow));
        let (there, back) = (compared(&a, &b), compared(&b, &a));
        for metric in ["accept_p50", "accept_p90", "deliver_p99"] {
            prop_assert_eq!(outcome(&there, metric), Outcome::Worse);
            prop_assert_eq!(outcome(&back, metric), Outcome::Better);
        }
        prop_assert_eq!(outcome(&there, "throughput"), Outcome::Same);
    }
}

#[test]
fn fewer_than_three_runs_show_nothing_and_say_so() {
    let few = compared(&runs(1..3, 1.0), &runs(5..10, 9.0));
    assert_eq!(few.outcome(), Outcome::NotClear);
    let p50 = &few.metrics[0];
    assert!(p50.ratio.is_some_and(|ratio| ratio > 5.0) && p50.low.is_none(), "{p50:?}");
    let why = p50.why.as_deref().unwrap_or_default();
    assert_eq!(why, "A has it of 2 runs; how much runs differ takes at least 3");
}

#[test]
fn what_chance_does_too_often_is_not_clear() {
    let one = |compared: &Comparison| compared.metrics[0].clone();
    let five = one(&compared(&runs(0..5, 1.0), &runs(5..10, 1.3)));
    assert!(five.low.is_some_and(|low| low > 1.1), "they are apart: {five:?}");
    assert_eq!(five.outcome, Outcome::NotClear);
    let why = "dealing the same runs out at random shows as much in 0.8 % of cases; each of these figures \
               may in 0.4 %: it takes 6 runs a side";
    assert_eq!(five.why.as_deref(), Some(why));
    assert_eq!(one(&compared(&runs(0..5, 1.0), &runs(5..10, 1.0))).outcome, Outcome::Same);
    assert_eq!(one(&compared(&runs(0..4, 1.0), &runs(4..12, 1.3))).outcome, Outcome::Worse);
}

#[test]
fn less_throughput_is_worse() {
    let mut slow = runs(6..12, 1.0);
    for run in &mut slow {
        for second in &mut run.file.measured.seconds {
            second.accepted /= 2;
        }
    }
    let compared = compared(&runs(0..6, 1.0), &slow);
    assert_eq!(outcome(&compared, "throughput"), Outcome::Worse);
}

#[test]
fn what_too_few_values_or_runs_have_is_not_clear() {
    let (mut a, b) = (runs(0..5, 1.0), runs(5..10, 1.0));
    for run in &mut a[..3] {
        run.file.measured.faults[0].recovery = Recovery::Unknown;
    }
    for run in &mut a {
        run.latencies.deliver = Split::new();
        for us in 0..1_000 {
            run.latencies.deliver.calm.record(us);
        }
    }
    let compared = compared(&a, &b);
    let why = |metric: &str| {
        let one = compared.metrics.iter().find(|one| one.metric == metric).expect("measured");
        (one.outcome, one.why.clone().unwrap_or_default())
    };
    let (outcome, told) = why("recovery");
    assert_eq!(outcome, Outcome::NotClear);
    assert_eq!(told, "A has it of 2 of 5 runs; how much runs differ takes at least 3");
    let (outcome, told) = why("deliver_p99.9");
    assert_eq!(
        (outcome, told.as_str()),
        (Outcome::NotClear, "A has 5 values beyond it; it takes 10")
    );
}

#[test]
fn a_run_that_never_recovered_counts() {
    let mut b = runs(6..12, 1.0);
    for run in &mut b {
        run.file.measured.faults[0].recovery = Recovery::Never;
    }
    let compared = compared(&runs(0..6, 1.0), &b);
    assert_eq!(outcome(&compared, "recovery"), Outcome::Worse);
    let json = serde_json::to_string(&compared).expect("infinity is null in JSON");
    assert!(json.contains("\"metric\":\"recovery\",\"a\":2000000.0,\"b\":null"), "{json}");
}

#[test]
fn what_else_differs_is_told() {
    let (mut a, mut b) = (runs(1..4, 1.0), runs(1..4, 1.0));
    assert_eq!(compared(&a, &b).differences, [""; 0]);
    for run in &mut b {
        run.scenario_toml = run.scenario_toml.replace("1ms", "2ms");
        run.file.version = "0.2.0".to_owned();
    }
    if let Some(machine) = &mut a[0].file.machine {
        machine.processors = 64;
        machine.model = None;
        machine.system = "plan9 mips".to_owned();
    }
    b[2] = b[1].clone();
    let told = compared(&a, &b).differences;
    let all = told.join("\n");
    for part in [
        "the machines differ: A has ",
        "plan9 mips, 64 processors",
        "the versions differ: A has 0.1.0, B has 0.2.0",
        "the seeds differ: A has 1 to 3, B has 1, 2",
        "B has a seed twice",
        "network.tick differs: A has \"1ms\", B has \"2ms\"",
    ] {
        assert!(all.contains(part), "{part} in {all}");
    }
    assert_eq!(told.len(), 5, "{all}");
}

#[test]
fn a_demand_fails_only_on_what_is_shown() {
    let demand = |text: &str| -> FailIf { text.parse().expect("a demand") };
    let gate = |text: &str, a: &[PastRun], b: &[PastRun]| {
        let compared = compare(a, b, 0.05, &[demand(text)], "0.1.0");
        (compared.gates[0].failed, compared.status())
    };
    let (a, same, slow) = (runs(0..5, 1.0), runs(5..10, 1.0), runs(5..10, 1.3));
    assert_eq!(gate("accept_p99 > 10%", &a, &slow), (Some(true), 1));
    assert_eq!(gate("accept_p99 > 50 %", &a, &slow), (Some(false), 0));
    assert_eq!(gate("accept_p99 > 10%", &a, &same), (Some(false), 0));
    assert_eq!(gate("deliver_p50 < -10%", &slow, &a), (Some(true), 1));
    assert_eq!(gate("accept_p99 > 10%", &a[..2], &slow), (None, 2));
    // It exceeds the limit, and the runs do not show it.
    let mut wild = runs(5..7, 1.0);
    wild.push(run(7, 9.0));
    assert_eq!(gate("accept_p99 > 10%", &a, &wild), (None, 2));
    // One demand takes three runs a side, and more of them more.
    let three = (runs(0..3, 1.0), runs(3..6, 1.3));
    assert_eq!(gate("accept_p99 > 10%", &three.0, &three.1), (Some(true), 1));
    let both = [demand("accept_p99 > 10%"), demand("deliver_p99 > 10%")];
    let compared = compare(&three.0, &three.1, 0.05, &both, "0.1.0");
    assert!(compared.gates.iter().all(|gate| gate.failed.is_none()), "{:?}", compared.gates);
    let got = &compared.gates[0].got;
    assert!(got.ends_with(
        "in 5.0 % of cases; each of these figures may in 2.5 %: it takes 4 runs a side"
    ));
}

#[test]
fn a_demand_that_says_nothing_is_refused_with_what_may_have_been_meant() {
    let told = |text: &str| text.parse::<FailIf>().expect_err("refused");
    assert!(
        told("accept_p98 > 10%").contains("did you mean accept_p9"),
        "{}",
        told("accept_p98 > 1%")
    );
    assert!(told("latency > 10%").contains("There are accept_p50, accept_p90"));
    for bad in ["accept_p99", "accept_p99 > 10", "accept_p99 > fast%", "> 10%", "accept_p99 = 1%"] {
        assert!(
            told(bad).contains("expected a metric") || told(bad).contains("unknown metric"),
            "{bad}"
        );
    }
    assert!(told("accept_p99 > -10%").contains("> takes a change of at least 0%"));
    assert!("throughput < -5%".parse::<FailIf>().is_ok());
}

#[test]
fn folders_are_refused_all_at_once() {
    let path = |name: &str| std::path::PathBuf::from(format!("/nowhere/{name}"));
    let told =
        sides(&[path("a"), path("a")], &[path("b"), path("a")], false).expect_err("refused").0;
    assert_eq!(told.len(), 6, "{told:?}");
    assert_eq!(told[0], "/nowhere/a is given twice for A: one run is one observation");
    assert_eq!(told[1], "/nowhere/a is on both sides");
    assert!(told[2..].iter().all(|one| one.ends_with("does not exist")), "{told:?}");
}

#[test]
fn all_forms_say_the_same_and_no_text_of_a_run_is_markup() {
    let (mut a, b) = (runs(0..6, 1.0), runs(6..12, 1.3));
    let hostile = "\"'></script><script>alert(1)</script><img src=x>&|`";
    for run in &mut a {
        run.file.scenario = hostile.to_owned();
        run.folder = hostile.into();
    }
    let demands =
        ["accept_p99 > 10%".parse().expect("a demand"), "recovery > 0%".parse().expect("one")];
    let compared = compare(&a, &b, 0.05, &demands, hostile);
    let folder = std::env::temp_dir().join(format!("fracas-compare-{}", std::process::id()));
    compared.write(&folder, &a, &b).expect("a temporary directory");
    compared.write(&folder, &a, &b).expect("an earlier comparison gives way");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).expect("it was written");
    let [page, junit, markdown] = ["comparison.html", "junit.xml", "comparison.md"].map(read);
    std::fs::remove_dir_all(&folder).expect("our own directory");
    assert!(!page.contains("<img") && page.matches("<script").count() == 1);
    assert!(page.contains("<p class=\"word\">worse</p>") && page.contains("class=\"line b\""));
    assert!(!junit.contains("<img") && junit.contains("failures=\"1\""), "{junit}");
    assert!(junit.contains("<failure type=\"worse\" message=\"accept_p99 &gt; 10%: +"), "{junit}");
    let row = markdown.lines().find(|line| line.contains("`accept_p50`")).expect("a row");
    assert!(row.starts_with("| ✗ |") && row.ends_with("| worse |"), "{row}");
    let told = crate::comparison(&compared, false, 100);
    assert!(told.starts_with("worse  B against A: 8 of 12 figures worse, "), "{told}");
    assert!(told.contains("✗ fail if accept_p99 > 10%: fails; +"), "{told}");
}
