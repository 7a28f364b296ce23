//! The fit against laws that are known.

use super::{Law, Point, fit, least_squares, residual};
use proptest::prelude::*;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// Gunther's own shape: 5 % contention, a peak at N = 31.
const KNOWN: Law = Law { lambda: 250.0, sigma: 0.05, kappa: 0.001 };

/// Levels of a law, with relative errors of up to `noise`.
fn levels(law: &Law, in_flight: &[f64], noise: f64, seed: u64) -> Vec<Point> {
    let mut random = SmallRng::seed_from_u64(seed);
    let level = |n: &f64| {
        // The sum of twelve is nearly normal, with a deviation of one.
        let error: f64 = (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0;
        Point { in_flight: *n, throughput: law.throughput(*n) * (1.0 + noise * error) }
    };
    in_flight.iter().map(level).collect()
}

const SPREAD: [f64; 8] = [0.4, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0];

#[test]
fn what_has_no_errors_is_found_exactly() {
    let found = fit(&levels(&KNOWN, &SPREAD, 0.0, 1)).expect("eight levels");
    let law = found.law();
    assert!((law.lambda - 250.0).abs() < 1e-6, "{law:?}");
    assert!((law.sigma - 0.05).abs() < 1e-9, "{law:?}");
    assert!((law.kappa - 0.001).abs() < 1e-9, "{law:?}");
    assert!(found.is_retrograde());
    let peak = found.peak_in_flight.expect("it falls beyond");
    assert!((peak - (0.95_f64 / 0.001).sqrt()).abs() < 1e-3, "{peak}");
    assert!((found.ceiling.value - KNOWN.throughput(peak)).abs() < 1e-6);
}

#[test]
fn a_law_without_coherency_has_no_peak_but_a_ceiling() {
    let law = Law { kappa: 0.0, ..KNOWN };
    let found = fit(&levels(&law, &SPREAD, 0.02, 3)).expect("eight levels");
    assert!(!found.is_retrograde() && found.peak_in_flight.is_none(), "{found:?}");
    assert!(found.ceiling.low < 5_000.0 && found.ceiling.high > 5_000.0 * 0.9, "{found:?}");
    let linear = Law { sigma: 0.0, kappa: 0.0, ..KNOWN };
    let found = fit(&levels(&linear, &SPREAD, 0.0, 1)).expect("eight levels");
    assert!(found.ceiling.value > 1e9, "nothing bounds it: {found:?}");
}

#[test]
fn too_few_levels_are_refused() {
    let five = levels(&KNOWN, &SPREAD[..5], 0.01, 1);
    assert_eq!(fit(&five), Err("5 levels can be used, it takes 6".to_owned()));
    let again: Vec<Point> = five.iter().chain(&five).copied().collect();
    assert!(fit(&again).is_err(), "the same levels twice are no more levels");
}

/// How often the interval of each parameter holds the true value.
fn covered(law: &Law, in_flight: &[f64], noise: f64) -> [u32; 3] {
    let mut covered = [0; 3];
    for seed in 0..40 {
        let found = fit(&levels(law, in_flight, noise, seed)).expect("enough levels");
        let truth =
            [(found.lambda, law.lambda), (found.sigma, law.sigma), (found.kappa, law.kappa)];
        for (count, (estimate, truth)) in covered.iter_mut().zip(truth) {
            *count += u32::from(estimate.low <= truth && truth <= estimate.high);
        }
    }
    covered
}

#[test]
fn intervals_hold_the_truth_about_as_often_as_they_say() {
    // 95 % of 40 are 38; fewer than 34 come by chance once in a hundred times.
    let eight = covered(&KNOWN, &SPREAD, 0.03);
    assert!(eight.iter().all(|count| *count >= 34), "{eight:?}");
    let six = covered(&KNOWN, &SPREAD[1..7], 0.05);
    assert!(six.iter().all(|count| *count >= 34), "{six:?}");
}

#[test]
fn an_interval_that_always_holds_zero_would_say_nothing() {
    let shown = (0..20).filter(|seed| {
        fit(&levels(&KNOWN, &SPREAD, 0.02, *seed)).is_ok_and(|found| found.is_retrograde())
    });
    assert!(shown.count() >= 18, "a clear peak is seen");
}

proptest! {
    #[test]
    fn no_fit_is_worse_than_the_truth(
        lambda in 1.0_f64..1e5, sigma in 0.0_f64..0.5, kappa in 0.0_f64..0.01, seed: u64
    ) {
        let law = Law { lambda, sigma, kappa };
        let points = levels(&law, &SPREAD, 0.05, seed);
        let found = least_squares(&points).expect("a law");
        prop_assert!(found.sigma >= 0.0 && found.kappa >= 0.0 && found.lambda > 0.0);
        // The weights follow the curve, so that it is the least squares only nearly.
        let error = |law: &Law| points.iter().map(|p| residual(p, law).powi(2)).sum::<f64>();
        prop_assert!(error(&found) <= error(&law) * 1.05 + 1e-9);
    }
}
