//! Claims about when both worlds agree, and how every form of the report says so.

use super::{Agreement, Fidelity, Pair, Side, told};
use crate::measured::Recovery;
use crate::sample::Stage;
use crate::verdict_file::VerdictFile;
use verify::history::event::Engine;
use verify::verdict::Verdict;

fn run(engine: Engine, verdict: Verdict, recovery: Recovery) -> (String, VerdictFile) {
    let mut stage = Stage::of(verdict);
    stage.header.engine = engine;
    stage.measured.faults[0].recovery = recovery;
    ("runs/1".to_owned(), VerdictFile::of(&stage.run()))
}

fn pair(simulated: &[(Verdict, Recovery)], real: &[(Verdict, Recovery)]) -> Pair {
    let side = |engine, runs: &[(Verdict, Recovery)]| Side {
        runs: runs.iter().map(|(verdict, recovery)| run(engine, *verdict, *recovery)).collect(),
    };
    Pair {
        scenario: "owner-paused".to_owned(),
        simulated: side(Engine::Simulated, simulated),
        real: side(Engine::Real, real),
    }
}

const AFTER: fn(u64) -> Recovery = |s| Recovery::After(s * 1_000_000 - 1);

#[test]
fn verdicts_agree_if_what_is_known_is_the_same() {
    use Verdict::{Unknown, Valid, Violated};
    let of = |simulated: &[Verdict], real: &[Verdict]| {
        let with = |verdicts: &[Verdict]| -> Vec<_> {
            verdicts.iter().map(|verdict| (*verdict, Recovery::Unknown)).collect()
        };
        pair(&with(simulated), &with(real)).verdicts()
    };
    assert_eq!(of(&[Valid], &[Valid, Unknown]), Agreement::Same);
    assert_eq!(of(&[Valid], &[Unknown]), Agreement::Unknown);
    assert_eq!(of(&[Valid], &[Violated]), Agreement::Differs);
    assert_eq!(of(&[Valid, Violated], &[Valid]), Agreement::Differs);
}

#[test]
fn recoveries_agree_within_a_factor_of_two_to_the_second() {
    let of = |simulated: Recovery, real: Recovery| {
        pair(&[(Verdict::Valid, simulated)], &[(Verdict::Valid, real)]).recovery()
    };
    for (simulated, real, expected) in [
        (Recovery::Unknown, Recovery::Unknown, Agreement::Nothing),
        (AFTER(1), AFTER(1), Agreement::Same),
        (AFTER(1), AFTER(3), Agreement::Same),
        (AFTER(4), AFTER(1), Agreement::Differs),
        (AFTER(5), AFTER(11), Agreement::Same),
        (AFTER(5), AFTER(12), Agreement::Differs),
        (AFTER(5), Recovery::Never, Agreement::Differs),
        (Recovery::Never, Recovery::Never, Agreement::Same),
        (AFTER(5), Recovery::Unknown, Agreement::Unknown),
    ] {
        assert_eq!(of(simulated, real), expected, "{simulated:?} {real:?}");
    }
    assert_eq!((told(None), told(Some(u64::MAX))), ("–".to_owned(), "never".to_owned()));
}

#[test]
fn what_is_violated_must_have_something_in_common() {
    let violated = |name: &str| {
        let mut side = pair(&[(Verdict::Violated, AFTER(1))], &[]).simulated;
        for found in &mut side.runs[0].1.findings {
            found.verdict = Verdict::Valid;
        }
        side.runs[0].1.findings[0].verdict = Verdict::Violated;
        side.runs[0].1.findings[0].invariant = name.to_owned();
        side
    };
    let of = |simulated: &str, real: &str| Pair {
        scenario: "owner-paused".to_owned(),
        simulated: violated(simulated),
        real: violated(real),
    };
    assert_eq!(of("no_gap_in_sequence", "no_gap_in_sequence").verdicts(), Agreement::Same);
    let differs = of("no_gap_in_sequence", "no_stuck_session");
    assert_eq!(differs.verdicts(), Agreement::Differs);
    let told = "real: violated there alone: no_stuck_session".to_owned();
    assert!(differs.reasons().contains(&told), "{:?}", differs.reasons());
}

#[test]
fn the_keys_in_which_two_scenarios_differ_are_named() {
    let keys = super::differing_keys("[network]\ntick = \"1ms\"\n", "[network]\ntick = \"2ms\"\n");
    assert_eq!(keys, ["network.tick"]);
}

#[test]
fn every_form_says_what_differs_and_why() {
    let mut differs = pair(&[(Verdict::Valid, AFTER(2))], &[(Verdict::Valid, AFTER(9))]);
    differs.real.runs[0].1.notes = vec!["a <link> cannot be | cut here".to_owned()];
    let same = pair(&[(Verdict::Valid, AFTER(2))], &[(Verdict::Valid, AFTER(2))]);
    let fidelity = Fidelity {
        pairs: vec![differs, same],
        alone: vec!["smoke: simulated runs alone".to_owned()],
        unreadable: Vec::new(),
        version: "0.1.0".to_owned(),
    };
    assert_eq!((fidelity.status(), fidelity.headline().as_str()), (1, "1 of 2 scenarios agree"));
    let markdown = crate::text::fidelity::markdown(&fidelity);
    assert!(markdown.contains("| ✗ | owner-paused |"), "{markdown}");
    assert!(markdown.contains("| power\\_loss | 2 s | 9 s |"), "{markdown}");
    assert!(markdown.contains("smoke: simulated runs alone"), "{markdown}");
    let page = crate::html::fidelity::page(&fidelity);
    assert!(page.contains("a &lt;link&gt; cannot be | cut here"), "{page}");
    assert!(page.contains("href=\"runs/1/report.html\"") && page.contains("<svg"), "{page}");
    let table = crate::fidelity_table(&fidelity, false, 200);
    assert!(
        table.contains("1 of 2 scenarios agree") && table.contains("9 s (1 of 1 faults)"),
        "{table}"
    );
}
