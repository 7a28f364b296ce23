//! Claims about intervals: the published figures behind them, and how often they hold the truth.

use super::{Interval, Replicates, TAIL, interval, normal_above, ratio, student, tail};
use crate::compare::replicates::{Figures, Quantile};
use crate::measure::latency::Distribution;
use proptest::prelude::*;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// A side of scalar runs.
fn side(values: &[f64]) -> Figures {
    Figures::Share(values.iter().map(|value| (*value, 1.0)).collect())
}

#[test]
fn the_tails_are_those_of_the_tables() {
    for (freedom, want) in [(1.0, 12.706), (2.0, 4.303), (4.0, 2.776), (9.0, 2.262), (30.0, 2.042)]
    {
        assert!((student(0.025, freedom) - want).abs() < 6e-4, "{freedom}");
    }
    assert!((normal_above(1.959_964) - 0.025).abs() < 1e-6);
    // By hand: t of the tables times the root of n / (n - 1), looked up in that of the normal distribution.
    for (runs, want) in [(5, 0.001_0), (10, 0.008_6), (20, 0.015_9)] {
        assert!((tail(runs, TAIL) - want).abs() < 1e-4, "{runs}: {}", tail(runs, TAIL));
    }
}

#[test]
fn nothing_and_infinity_have_ratios() {
    for (a, b, want) in [
        (0.0, 0.0, 1.0),
        (f64::INFINITY, f64::INFINITY, 1.0),
        (0.0, 2.0, f64::INFINITY),
        (2.0, 0.0, 0.0),
        (2.0, 3.0, 1.5),
    ] {
        assert_eq!(ratio(a, b).total_cmp(&want), std::cmp::Ordering::Equal, "{a} {b}");
    }
}

#[test]
fn two_runs_a_side_say_nothing_of_their_differences() {
    let (two, three) = (side(&[1.0, 2.0]), side(&[1.0, 2.0, 3.0]));
    assert_eq!(interval(&two, &three, TAIL, 1), None);
    assert_eq!(interval(&three, &two, TAIL, 1), None);
    assert!(interval(&three, &three, TAIL, 1).is_some());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn an_interval_is_decided_by_its_seed_and_scales_with_b(
        a in prop::collection::vec(1.0_f64..100.0, 3..8),
        b in prop::collection::vec(1.0_f64..100.0, 3..8),
        seed in any::<u64>(),
    ) {
        let (one, other) = (side(&a), side(&b));
        let first = interval(&one, &other, TAIL, seed).expect("enough runs");
        prop_assert_eq!(interval(&one, &other, TAIL, seed), Some(first));
        let ratio = ratio(one.together(), other.together());
        prop_assert!(first.low <= ratio && ratio <= first.high, "{ratio} in {first:?}");
        let twice: Vec<f64> = b.iter().map(|value| value * 2.0).collect();
        let scaled = interval(&one, &side(&twice), TAIL, seed).expect("enough runs");
        prop_assert!((scaled.low / first.low - 2.0).abs() < 1e-9);
        prop_assert!((scaled.high / first.high - 2.0).abs() < 1e-9);
    }

    #[test]
    fn runs_without_any_difference_have_an_interval_of_one_point(
        value in 1.0_f64..100.0, runs in 3_usize..8,
    ) {
        let same = side(&vec![value; runs]);
        let Interval { low, high } = interval(&same, &same, TAIL, 1).expect("enough runs");
        prop_assert!((low - 1.0).abs() < 1e-12 && (high - 1.0).abs() < 1e-12);
    }
}

fn normal(random: &mut SmallRng) -> f64 {
    // Twelve uniform values: close enough to the bell, without its farthest tails.
    (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0
}

/// Latencies of runs that differ by a tenth, as runs do.
fn runs(random: &mut SmallRng, runs: usize, median_us: f64) -> Vec<Distribution> {
    let one = |random: &mut SmallRng| {
        let slow = (normal(random) * 0.1).exp();
        let mut distribution = Distribution::new();
        for _ in 0..100 {
            distribution.record((median_us * slow * (normal(random) * 0.5).exp()) as u64);
        }
        distribution
    };
    (0..runs).map(|_| one(random)).collect()
}

/// In how many of a hundred comparisons the interval of the median's ratio holds the truth.
fn covered(count: usize, truth: f64) -> usize {
    let mut random = SmallRng::seed_from_u64(count as u64);
    let mut holds = || {
        let side = |random: &mut SmallRng, median_us| {
            Figures::Quantile(Quantile::new(0.5, &runs(random, count, median_us)))
        };
        let (a, b) = (side(&mut random, 10_000.0), side(&mut random, 10_000.0 * truth));
        let Interval { low, high } = interval(&a, &b, TAIL, 1).expect("enough runs");
        low <= truth && truth <= high
    };
    (0..100).filter(|_| holds()).count()
}

#[test]
fn nineteen_of_twenty_intervals_hold_the_truth() {
    // 95 of 100 are meant; by chance 89 to 99, in one of a hundred such tests fewer or more.
    let covered = covered(5, 1.3);
    assert!((89..=99).contains(&covered), "{covered} of 100");
}
