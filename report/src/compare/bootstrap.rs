//! Confidence intervals of B / A from whole runs, by the bootstrap.
//!
//! A run is one observation, whatever the number of its messages: what makes a run slow makes all of its
//! messages slow. Runs are drawn with replacement, on each side for itself, what was measured in them is
//! put together, and the ratio of both sides is taken; the middle of many such ratios is the interval.
//!
//! With few runs this interval is too narrow. It is widened as in "What Teachers Should Know About the
//! Bootstrap" (Tim Hesterberg, The American Statistician 69, 2015: the expanded percentile interval), to
//! where Student's t would have its ends.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// Ratios that are drawn: with five runs a side one of a thousand is cut off at each end.
const RESAMPLES: usize = 10_000;
/// Fewer runs on a side say nothing of how much runs differ.
pub const FEWEST_RUNS: usize = 3;
/// How often a statement of chance is allowed to come out wrong, of all that are made together.
pub(crate) const WRONG: f64 = 0.05;
/// Outside a 95 % interval, at each end.
pub(crate) const TAIL: f64 = WRONG / 2.0;

/// The runs of one side, as far as one figure needs them.
pub(crate) trait Replicates {
    /// How many runs there are.
    fn runs(&self) -> usize;

    /// The figure of all runs together, each as often as `times` says; not all are zero.
    fn figure(&self, times: &[u32]) -> f64;

    /// The figure of each once.
    fn together(&self) -> f64 {
        self.figure(&vec![1; self.runs()])
    }
}

/// A ratio with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Interval {
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// B / A; two figures that are the same, of which both may be zero or infinite, have the ratio 1.
#[expect(
    clippy::float_cmp,
    reason = "zero and infinity are exact, and they are what this is about"
)]
pub(crate) fn ratio(a: f64, b: f64) -> f64 {
    if a == b { 1.0 } else { b / a }
}

/// The interval of B / A with so much outside at each end; `None`: too few runs.
pub(crate) fn interval<R: Replicates>(a: &R, b: &R, outside: f64, seed: u64) -> Option<Interval> {
    let fewest = a.runs().min(b.runs());
    if fewest < FEWEST_RUNS {
        return None;
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let (mut of_a, mut of_b) = (vec![0; a.runs()], vec![0; b.runs()]);
    let mut ratios: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            draw(&mut of_a, &mut random);
            draw(&mut of_b, &mut random);
            ratio(a.figure(&of_a), b.figure(&of_b))
        })
        .collect();
    ratios.sort_unstable_by(f64::total_cmp);
    let outside = (tail(fewest, outside) * RESAMPLES as f64) as usize;
    Some(Interval { low: ratios[outside], high: ratios[RESAMPLES - 1 - outside] })
}

/// Draws as many runs as there are, with replacement: how often each.
fn draw(times: &mut [u32], random: &mut ChaCha8Rng) {
    times.fill(0);
    for _ in 0..times.len() {
        times[below(times.len(), random)] += 1;
    }
}

/// A number below `count`.
pub(crate) fn below(count: usize, random: &mut ChaCha8Rng) -> usize {
    // The bias of the high bits is below one in a hundred million.
    ((u64::from(random.next_u32()) * count as u64) >> 32) as usize
}

/// What `of` makes of as many values as there are, drawn with replacement, so many times over.
pub(crate) fn resampled<T>(
    values: &[f64],
    times: usize,
    seed: u64,
    mut of: impl FnMut(&[f64]) -> T,
) -> Vec<T> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut drawn = values.to_vec();
    let again = |_| {
        for value in &mut drawn {
            *value = values[below(values.len(), &mut random)];
        }
        of(&drawn)
    };
    (0..times).map(again).collect()
}

/// The share to cut off at each end with so many runs, where `outside` is meant to be.
fn tail(runs: usize, outside: f64) -> f64 {
    let freedom = runs as f64 - 1.0;
    let wide = student(outside, freedom) * (runs as f64 / freedom).sqrt();
    normal_above(wide)
}

/// The share to cut off at each end for an interval as wide as Student's t has it, with at least one degree
/// of freedom.
pub(crate) fn student_tail(freedom: usize) -> f64 {
    normal_above(student(TAIL, freedom as f64))
}

/// The value that Student's t exceeds with this probability, with whole degrees of freedom.
fn student(above: f64, freedom: f64) -> f64 {
    let (mut low, mut high) = (0.0, 100.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if student_above(middle, freedom) > above { low = middle } else { high = middle }
    }
    low
}

/// The probability that Student's t is above a value of at least 0 (Abramowitz and Stegun, 26.7.3 and
/// 26.7.4).
fn student_above(t: f64, freedom: f64) -> f64 {
    let angle = (t / freedom.sqrt()).atan();
    let (sine, cosine) = angle.sin_cos();
    let is_odd = freedom as u64 % 2 == 1;
    let mut term = if is_odd { cosine } else { 1.0 };
    let mut sum = if is_odd && freedom < 2.0 { 0.0 } else { term };
    let mut n = if is_odd { 3.0 } else { 2.0 };
    while n < freedom - 0.5 {
        term *= cosine * cosine * (n - 1.0) / n;
        sum += term;
        n += 2.0;
    }
    let within =
        if is_odd { std::f64::consts::FRAC_2_PI * (angle + sine * sum) } else { sine * sum };
    (1.0 - within) / 2.0
}

/// The probability that a standard normal value is above one of at least 0, with an error below 7.5e-8
/// (Abramowitz and Stegun, 26.2.17).
fn normal_above(z: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * z);
    let powers = [0.319_381_530, -0.356_563_782, 1.781_477_937, -1.821_255_978, 1.330_274_429];
    let sum = powers.iter().rev().fold(0.0, |sum, power| (sum + power) * t);
    sum * (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

#[cfg(test)]
mod tests;
