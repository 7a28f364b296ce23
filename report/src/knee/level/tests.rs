//! Levels that are sustained, broken, or say nothing.

use super::*;
use crate::measured::processors::tests::crowded;
use crate::sample::Stage;
use verify::history::event::Phase;

/// A run of ten seconds of load, from 1.2 s on, with so much sent and accepted in each.
fn file(verdict: Verdict, sent: u32, accepted: u32) -> VerdictFile {
    let mut stage = Stage::of(verdict);
    let load = Second { sent, accepted, ..Second::default() };
    stage.measured.seconds = vec![load; 13];
    stage.measured.seconds[1] = Second { sent, ..Second::default() };
    let marks = [(Phase::Load, 1_200_000), (Phase::Heal, 11_300_000)];
    stage.measured.phases =
        marks.map(|(phase, at_us)| crate::measured::PhaseMark { phase, at_us }).to_vec();
    VerdictFile::of(&stage.run())
}

fn outcome(file: &VerdictFile) -> (Outcome, String) {
    let level = Level::of(100.0, false, None, file);
    (level.outcome, level.why.join("; "))
}

#[test]
fn a_level_is_sustained_only_if_all_of_it_is() {
    assert_eq!(outcome(&file(Verdict::Valid, 1_000, 1_000)), (Outcome::Sustained, String::new()));
    let (broken, why) = outcome(&file(Verdict::Valid, 1_000, 980));
    assert_eq!(
        (broken, &*why),
        (Outcome::Broken, "980/s were accepted of 1\u{202f}000/s that were sent")
    );
    assert_eq!(outcome(&file(Verdict::Valid, 1_000, 992)).0, Outcome::Sustained);
    let (broken, why) = outcome(&file(Verdict::Violated, 1_000, 1_000));
    assert_eq!((broken, &*why), (Outcome::Broken, "violated: accepted_message_survives"));
    let mut slow = file(Verdict::Valid, 1_000, 1_000);
    slow.expectations[1].met = Some(false);
    assert_eq!(outcome(&slow).0, Outcome::Broken);
    slow.expectations[1].met = None;
    assert_eq!(outcome(&slow).0, Outcome::Unknown);
}

#[test]
fn a_generator_at_its_limit_never_accuses_the_cluster() {
    let mut late = file(Verdict::Unknown, 1_000, 100);
    assert_eq!(outcome(&late).0, Outcome::Unknown);
    late.measured.totals.limits.insert("lateness".to_owned(), 7);
    let (limited, why) = outcome(&late);
    assert_eq!(limited, Outcome::GeneratorLimited);
    assert_eq!(why, "lateness 7 times");
    assert_eq!(Level::of(1.0, false, None, &late).point(), None);
}

#[test]
fn what_is_slow_beside_other_work_is_not_the_clusters_doing() {
    let mut slow = file(Verdict::Valid, 1_000, 900);
    slow.measured.processes = crowded(20).processes;
    let (limited, why) = outcome(&slow);
    assert_eq!(limited, Outcome::GeneratorLimited);
    assert_eq!(why, "other work had the processors for 82.1 % of the time");
    slow.expectations[1].met = Some(false);
    assert_eq!(outcome(&slow).0, Outcome::Broken, "a bound that no machine explains");
    slow = file(Verdict::Violated, 1_000, 900);
    slow.measured.processes = crowded(20).processes;
    assert_eq!(outcome(&slow).0, Outcome::Broken);
}

#[test]
fn a_generator_that_is_later_than_it_may_be_says_nothing_of_the_cluster() {
    let mut late = file(Verdict::Valid, 1_000, 1_000);
    let demand = &mut late.expectations[1];
    (demand.what, demand.met) = ("lateness_p99".to_owned(), Some(false));
    let (limited, why) = outcome(&late);
    assert_eq!(limited, Outcome::GeneratorLimited);
    assert!(why.starts_with("lateness_p99: "), "{why}");
    let mut open = file(Verdict::Valid, 1_000, 1_000);
    let demand = &mut open.expectations[1];
    (demand.what, demand.met) = ("accept_p99".to_owned(), None);
    assert_eq!(outcome(&open).0, Outcome::Unknown);
    open.expectations[1].got += "; the generator sent late, and counted from then it is 9.00 ms";
    assert_eq!(outcome(&open).0, Outcome::GeneratorLimited);
    late.verdict = Verdict::Unknown;
    late.measured.unmeetable = Some("lateness_p99 cannot be met any more".to_owned());
    assert_eq!(outcome(&late).0, Outcome::GeneratorLimited);
}

#[test]
fn a_run_that_ended_because_of_a_threshold_was_not_sustained() {
    let mut ended = file(Verdict::Unknown, 1_000, 1_000);
    ended.measured.unmeetable = Some("accept_p99 cannot be met any more".to_owned());
    ended.expectations[1].met = None;
    assert_eq!(outcome(&ended).0, Outcome::GeneratorLimited, "its machine may be why");
    ended.expectations[1].met = Some(false);
    let expected = (Outcome::Broken, "accept_p99 cannot be met any more".to_owned());
    assert_eq!(outcome(&ended), expected);
    assert_eq!(Level::of(1.0, false, None, &ended).point(), None, "it was cut short");
    ended.measured.totals.limits.insert("lateness".to_owned(), 7);
    assert_eq!(outcome(&ended).0, Outcome::GeneratorLimited, "it may be the generator's doing");
}

#[test]
fn a_few_messages_that_are_under_way_are_no_backlog() {
    // 9 s of 10/s: one message is more than a hundredth of them.
    assert_eq!(outcome(&file(Verdict::Valid, 10, 10)).0, Outcome::Sustained);
    let mut one_missing = file(Verdict::Valid, 10, 10);
    one_missing.measured.seconds[9].accepted = 9;
    assert_eq!(outcome(&one_missing).0, Outcome::Sustained);
}

#[test]
fn what_is_in_flight_follows_from_littles_law() {
    let level = Level::of(1_000.0, false, None, &file(Verdict::Valid, 1_000, 1_000));
    let point = level.point().expect("a steady level");
    assert!((point.throughput - 1_000.0).abs() < 1e-9);
    assert!((point.in_flight - 12.0).abs() < 1e-9, "1000/s for 12 ms each: {point:?}");
    let growing = Level::of(1_000.0, false, None, &file(Verdict::Valid, 1_000, 900));
    assert_eq!(growing.point(), None, "its number grows for as long as the level lasts");
}
