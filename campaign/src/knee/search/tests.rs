//! The search against clusters whose knee is known.

use super::{LEVELS_MAX, Next, Search, Seen, Wanted, round};
use proptest::prelude::*;
use report::knee::{End, Outcome};
use std::collections::BTreeSet;

fn wanted(from: f64) -> Wanted {
    Wanted { from, most: 1e9, growth: 2.0, resolution: 0.05, tries: 2 }
}

/// What was run, and how it ended.
struct Ran {
    end: End,
    levels: Vec<f64>,
    held: Option<f64>,
    bounds: (Option<f64>, Option<f64>),
}

impl Ran {
    fn sustained(&self) -> f64 {
        self.bounds.0.expect("a rate that is sustained")
    }

    fn broken(&self) -> f64 {
        self.bounds.1.expect("a rate that is not")
    }
}

fn run(wanted: Wanted, mut cluster: impl FnMut(f64, bool) -> Outcome) -> Ran {
    let mut search = Search::new(wanted);
    let (mut levels, mut held) = (Vec::new(), None);
    loop {
        let next = search.next();
        assert_eq!(next, search.next(), "asking changes nothing");
        let (rate, is_hold) = match next {
            Next::Level { rate, .. } => (rate, false),
            Next::Hold { rate } => (rate, true),
            Next::End(end) => return Ran { end, levels, held, bounds: search.bounds() },
        };
        if is_hold {
            held = Some(rate);
        } else {
            levels.push(rate);
        }
        let outcome = cluster(rate, is_hold);
        search.saw(Seen { outcome, is_steady: outcome == Outcome::Sustained });
    }
}

/// Sustains all rates up to a capacity.
fn up_to(capacity: f64) -> impl FnMut(f64, bool) -> Outcome {
    move |rate, _| if rate <= capacity { Outcome::Sustained } else { Outcome::Broken }
}

#[test]
fn a_knee_is_closed_in_upon_and_held() {
    let ran = run(wanted(100.0), up_to(1_234.0));
    assert_eq!(
        ran.levels,
        // Each rate that breaks is tried twice.
        [
            100.0, 200.0, 400.0, 800.0, 1_600.0, 1_600.0, 1_130.0, 1_340.0, 1_340.0, 1_230.0,
            1_280.0, 1_280.0
        ]
    );
    assert_eq!((ran.end, ran.held), (End::Held, Some(1_230.0)));
    assert_eq!(ran.bounds, (Some(1_230.0), Some(1_280.0)));
}

#[test]
fn a_first_rate_that_is_too_high_is_left_downwards() {
    let ran = run(wanted(8_000.0), up_to(300.0));
    assert!(ran.sustained() <= 300.0 && ran.broken() > 300.0);
    let nothing = run(wanted(8_000.0), up_to(0.0));
    assert_eq!((nothing.end, nothing.held), (End::NothingSustained, None));
    assert!(nothing.levels.len() <= 2 * 11, "{:?}", nothing.levels);
}

#[test]
fn a_rate_that_does_not_hold_is_no_knee() {
    let tired = |rate: f64, is_hold: bool| match (is_hold, rate <= 500.0) {
        (false, true) => Outcome::Sustained,
        _ => Outcome::Broken,
    };
    assert_eq!(run(wanted(100.0), tired).end, End::NotHeld);
    let unclear = |rate: f64, is_hold: bool| match (is_hold, rate <= 500.0) {
        (true, _) => Outcome::GeneratorLimited,
        (_, true) => Outcome::Sustained,
        _ => Outcome::Broken,
    };
    assert_eq!(run(wanted(100.0), unclear).end, End::HoldUnknown);
}

#[test]
fn users_who_cannot_do_more_are_the_limit() {
    let most = Wanted { most: 450.0, ..wanted(100.0) };
    let ran = run(most, up_to(1e9));
    assert_eq!((ran.end, ran.held), (End::UsersLimited, None));
    assert_eq!(ran.bounds, (Some(450.0), None));
    let rates: BTreeSet<u64> = ran.levels.iter().map(|rate| rate.to_bits()).collect();
    assert!(rates.len() >= 6, "enough for the law: {:?}", ran.levels);
}

#[test]
fn one_failure_at_a_rate_is_forgiven() {
    // On this machine every other run is disturbed.
    let mut number = 0;
    let disturbed = |rate: f64, _| {
        number += 1;
        match (rate <= 1_000.0, number % 2) {
            (true, 0) => Outcome::Sustained,
            (true, _) => Outcome::GeneratorLimited,
            (false, _) => Outcome::Broken,
        }
    };
    let ran = run(wanted(100.0), disturbed);
    assert!((950.0..=1_000.0).contains(&ran.sustained()), "{:?}", ran.levels);
}

#[test]
fn levels_are_added_until_there_are_enough_for_the_law() {
    // From the first rate it is one step to the knee.
    let ran = run(Wanted { resolution: 0.5, ..wanted(1_000.0) }, up_to(1_300.0));
    let rates: BTreeSet<u64> =
        ran.levels.iter().filter(|rate| **rate <= 1_300.0).map(|rate| rate.to_bits()).collect();
    assert!(rates.len() >= 6, "{:?}", ran.levels);
    assert!(ran.levels.contains(&125.0), "down to an eighth: {:?}", ran.levels);
    assert_eq!(ran.end, End::Held);
}

#[test]
fn rates_have_three_digits() {
    for (rate, rounded) in [(1_131.37, 1_130.0), (0.123_4, 0.123), (99.99, 100.0), (7.0, 7.0)] {
        assert!((round(rate) - rounded).abs() < 1e-9, "{rate}: {}", round(rate));
    }
}

proptest! {
    #[test]
    fn any_knee_is_found_to_the_resolution(
        capacity in 1.0_f64..1e6, from in 0.5_f64..1e5, resolution in 0.02_f64..0.5,
        growth in 1.2_f64..4.0
    ) {
        prop_assume!(capacity > from / 900.0);
        // Each step down or up is a level, down it is two: small steps do not get far in so many.
        let steps = (capacity / from).ln().abs() / growth.ln();
        prop_assume!(steps < LEVELS_MAX as f64 / 4.0);
        let ran = run(Wanted { growth, resolution, ..wanted(from) }, up_to(capacity));
        prop_assert_eq!(ran.end.clone(), End::Held);
        let (sustained, broken) = (ran.sustained(), ran.broken());
        prop_assert!(sustained <= capacity && capacity < broken);
        // Three digits are known to a half of a hundredth.
        prop_assert!(broken / sustained <= 1.0 + resolution + 0.011, "{sustained} to {broken}");
        prop_assert_eq!(ran.held, Some(sustained));
        prop_assert!(ran.levels.len() < LEVELS_MAX, "{} levels", ran.levels.len());
    }

    /// A run well below the capacity fails now and then, but not twice in a row; near it, it is a lottery.
    #[test]
    fn noise_shifts_a_knee_by_no_more_than_the_noise(
        capacity in 10.0_f64..1e5, lots in prop::collection::vec(0.0_f64..1.0, 80)
    ) {
        let (mut number, mut failed) = (0, false);
        let noisy = |rate: f64, _| {
            number += 1;
            let lot = lots[number % lots.len()];
            let chance = ((capacity * 1.05 - rate) / (capacity * 0.1)).clamp(0.0, 1.0);
            let is_sustained = if chance >= 1.0 { failed || lot > 0.1 } else { lot < chance };
            failed = !is_sustained;
            if is_sustained { Outcome::Sustained } else { Outcome::Broken }
        };
        let ran = run(wanted(capacity / 7.0), noisy);
        prop_assert!(matches!(ran.end, End::Held | End::NotHeld));
        let sustained = ran.sustained();
        prop_assert!(
            sustained >= capacity * 0.95 / 1.06 && sustained <= capacity * 1.06,
            "{sustained} of {capacity}: {:?}", ran.levels
        );
    }

    #[test]
    fn a_limit_of_the_generator_ends_the_search_and_breaks_nothing(
        limit in 10.0_f64..1e5, from in 1.0_f64..1e4
    ) {
        let limited = |rate: f64, _| {
            if rate <= limit { Outcome::Sustained } else { Outcome::GeneratorLimited }
        };
        let ran = run(wanted(from), limited);
        prop_assert_eq!(ran.end, End::GeneratorLimited);
        prop_assert_eq!((ran.bounds.1, ran.held), (None, None));
        prop_assert!(ran.bounds.0.is_none_or(|sustained| sustained <= limit));
        prop_assert!(ran.bounds.0.is_some() || from > limit);
    }
}
