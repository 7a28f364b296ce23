//! What is told of thresholds that are lost, and that it comes true.

use super::*;
use crate::measure::latency::Distribution;
use proptest::prelude::*;

const LIMIT: Duration = Duration::from_millis(100);
const AFTER: Duration = Duration::from_secs(10);
const ALL: Planned = Planned { operations: 1_000, replies: 0, edits: 100, deletes: 0 };

fn p99() -> PercentileBounds {
    PercentileBounds { p99: Some(LIMIT), ..PercentileBounds::default() }
}

fn thresholds(accept: &LatencyBounds) -> Thresholds {
    Thresholds { accept: *accept, abort_after: Some(AFTER), ..Thresholds::default() }
}

fn accept(ms: u64, operation: Operation, under_fault: bool) -> Value {
    Value::Accept(Took { us: ms * 1_000, late_us: 0, operation, under_fault })
}

/// What is told after so many slow values.
fn after(wanted: &Thresholds, value: Value, times: u64) -> Option<String> {
    let mut following = Unmeetable::of(wanted, ALL);
    following.load_began(0);
    (0..times).for_each(|_| following.record(value));
    following.told(20_000_000).map(str::to_owned)
}

#[test]
fn a_hundredth_of_all_that_is_planned_decides_on_a_p99() {
    let wanted = thresholds(&LatencyBounds { all: p99(), ..LatencyBounds::default() });
    let slow = accept(101, Operation::Send, false);
    assert_eq!(after(&wanted, slow, 11), None, "of 1,000 ten, and one for the rounding");
    let told = after(&wanted, slow, 12).expect("certain");
    assert_eq!(told, "accept_p99 cannot be met any more: 12 took longer than 100 ms");
    assert_eq!(after(&wanted, accept(100, Operation::Send, false), 999), None);
}

#[test]
fn each_bound_counts_its_own_values() {
    let calm = thresholds(&LatencyBounds { calm: p99(), ..LatencyBounds::default() });
    assert_eq!(after(&calm, accept(500, Operation::Send, true), 900), None);
    assert!(after(&calm, accept(500, Operation::Send, false), 900).is_some());
    let mut of_edits = LatencyBounds::default();
    of_edits.operations.edit = p99();
    let edits = thresholds(&of_edits);
    assert_eq!(after(&edits, accept(500, Operation::Send, false), 900), None);
    assert_eq!(after(&edits, accept(500, Operation::Edit, false), 2), None);
    let told = after(&edits, accept(500, Operation::Edit, false), 3).expect("of 100 one");
    assert!(told.starts_with("accept_edit_p99 cannot"), "{told}");
}

#[test]
fn of_what_is_shown_only_the_highest_value_is_certain() {
    let bounds = PercentileBounds { max: Some(LIMIT), ..p99() };
    let deliver = LatencyBounds { all: bounds, ..LatencyBounds::default() };
    let wanted = Thresholds { deliver, ..thresholds(&LatencyBounds::default()) };
    let took = Took { us: 100_001, late_us: 0, operation: Operation::Send, under_fault: false };
    let told = after(&wanted, Value::Deliver(took), 1).expect("one is enough");
    assert_eq!(told, "deliver_max cannot be met any more: one took longer than 100 ms");
    let p99_alone = LatencyBounds { all: p99(), ..LatencyBounds::default() };
    let wanted = Thresholds { deliver: p99_alone, ..wanted };
    assert_eq!(after(&wanted, Value::Deliver(took), 9_999), None);
}

/// Counted from when they were sent, they are in time.
#[test]
fn what_the_generator_sent_late_decides_nothing() {
    let wanted = thresholds(&LatencyBounds { all: p99(), ..LatencyBounds::default() });
    let operation = Operation::Send;
    let late =
        |late_us| Value::Accept(Took { us: 150_000, late_us, operation, under_fault: false });
    assert_eq!(after(&wanted, late(60_000), 999), None);
    assert!(after(&wanted, late(40_000), 999).is_some());
}

#[test]
fn nothing_is_told_too_early_or_unasked() {
    let wanted = thresholds(&LatencyBounds { all: p99(), ..LatencyBounds::default() });
    let mut following = Unmeetable::of(&wanted, ALL);
    (0..50).for_each(|_| following.record(accept(101, Operation::Send, false)));
    assert_eq!(following.told(60_000_000), None, "the load has not begun");
    following.load_began(5_000_000);
    assert_eq!(following.told(14_999_999), None);
    assert!(following.told(15_000_000).is_some());
    let unasked = Thresholds { abort_after: None, ..wanted };
    assert_eq!(after(&unasked, accept(101, Operation::Send, false), 1_000), None);
}

#[test]
fn refusals_and_lateness_are_counted_too() {
    let wanted = Thresholds {
        refused_percent: Some(1.0),
        lateness: p99(),
        ..thresholds(&LatencyBounds::default())
    };
    assert!(after(&wanted, Value::Lateness(200_000), 12).is_some());
    let mut following = Unmeetable::of(&wanted, ALL);
    following.load_began(0);
    (0..11).for_each(|_| following.refused());
    assert_eq!(following.told(20_000_000), None);
    following.refused();
    let told = following.told(20_000_000).expect("certain");
    assert_eq!(told, "refused cannot be met any more: 12 operations were, and 11 may be");
}

#[test]
fn where_nobody_knows_how_much_comes_only_the_highest_value_is_certain() {
    let bounds = PercentileBounds { max: Some(Duration::from_secs(1)), ..p99() };
    let wanted = Thresholds {
        refused_percent: Some(100.0),
        ..thresholds(&LatencyBounds { all: bounds, ..LatencyBounds::default() })
    };
    let mut following =
        Unmeetable::of(&wanted, Planned { operations: u64::MAX, ..Planned::default() });
    following.load_began(0);
    (0..9_999).for_each(|_| following.record(accept(101, Operation::Send, false)));
    following.refused();
    assert_eq!(following.told(20_000_000), None);
    following.record(accept(1_001, Operation::Send, false));
    let told = following.told(20_000_000).expect("certain");
    assert!(told.starts_with("accept_max cannot be met any more: one took"), "{told}");
}

proptest! {
    /// Whatever comes after it: what is certain comes true.
    #[test]
    fn what_is_certain_comes_true(
        slow in 1_u64..400, fast in 0_u64..2_000, rest in 0_u64..2_000, share in 0_usize..4
    ) {
        let planned = slow + fast + rest;
        let quantile = [0.5, 0.9, 0.95, 0.99][share];
        let mut bounds = PercentileBounds::default();
        *[&mut bounds.p50, &mut bounds.p90, &mut bounds.p95, &mut bounds.p99][share] = Some(LIMIT);
        let wanted = thresholds(&LatencyBounds { all: bounds, ..LatencyBounds::default() });
        let mut following =
            Unmeetable::of(&wanted, Planned { operations: planned, ..Planned::default() });
        following.load_began(0);
        let mut measured = Distribution::new();
        for ms in [(101, slow), (50, fast)].iter().flat_map(|(ms, n)| (0..*n).map(move |_| *ms)) {
            following.record(accept(ms, Operation::Send, false));
            measured.record(ms * 1_000);
        }
        if following.told(20_000_000).is_some() {
            for fast in [0, rest / 3, rest / 3, rest / 3, rest - rest / 3 * 3] {
                (0..fast).for_each(|_| { measured.record(1_000); });
                let worst = measured.quantile(quantile).expect("there are values");
                prop_assert!(worst > 100_000, "{worst} of {slow} slow ones in {}", measured.len());
            }
        }
    }
}
