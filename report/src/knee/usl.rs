//! Gunther's Universal Scalability Law, fitted to levels of load, with confidence intervals.
//!
//! X(N) = λN / (1 + σ(N−1) + κN(N−1)): N operations in flight, X of them accepted per second; σ is
//! what they wait for each other, κ what they cost each other (Neil J. Gunther, "Guerrilla Capacity
//! Planning", 2007). Since R = N / X, the law is linear in 1/λ, σ/λ and κ/λ:
//!
//! R(N) = 1/λ + σ/λ (N−1) + κ/λ N(N−1)
//!
//! so that the mean time until accepted R is fitted by least squares of *relative* errors, with neither
//! σ nor κ below zero: exactly, without a starting point. Why N is X·R is in
//! docs/decisions/knee-of-an-open-loop.md.
//!
//! The intervals are from a bootstrap of the residuals: the levels were chosen, not drawn. With so few
//! levels their ends are where Student's t would have them, as in `compare::bootstrap`.

use crate::compare::bootstrap::{resampled, student_tail};
use serde::Serialize;

/// Fewer levels than this say nothing of three parameters and how sure they are.
pub const FEWEST_LEVELS: usize = 6;
const PARAMETERS: usize = 3;
/// Draws of the bootstrap.
const RESAMPLES: usize = 2_000;
/// The draws are the same whenever the levels are.
const SEED: u64 = 1;
/// Rounds in which the weights follow the fitted curve.
const ROUNDS: usize = 4;

/// A level, as the law sees it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Point {
    /// Operations in flight, on average.
    pub in_flight: f64,
    /// Accepted per second.
    pub throughput: f64,
}

/// A value with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// The best one.
    pub value: f64,
    /// Where the interval begins.
    pub low: f64,
    /// Where it ends; infinite (in JSON null) if nothing bounds it.
    pub high: f64,
}

/// The law, fitted.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fit {
    /// λ: per second, with one operation in flight.
    pub lambda: Estimate,
    /// σ: contention.
    pub sigma: Estimate,
    /// κ: coherency.
    pub kappa: Estimate,
    /// The highest throughput of the curve; infinite if it has none.
    pub ceiling: Estimate,
    /// With how many operations in flight it peaks; `None`: no retrograde region was seen.
    pub peak_in_flight: Option<f64>,
    /// The levels that it was fitted to.
    pub points: Vec<Point>,
    /// The 95 % band around the curve: N, and X at both ends.
    pub band: Vec<(f64, f64, f64)>,
}

/// The parameters alone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Law {
    pub(crate) lambda: f64,
    pub(crate) sigma: f64,
    pub(crate) kappa: f64,
}

impl Law {
    /// Throughput with so many in flight.
    pub(crate) fn throughput(&self, n: f64) -> f64 {
        n / self.residence(n)
    }

    fn residence(&self, n: f64) -> f64 {
        (1.0 + self.sigma * (n - 1.0) + self.kappa * n * (n - 1.0)) / self.lambda
    }

    /// Where the throughput is highest, if it falls beyond.
    fn peak(&self) -> Option<f64> {
        (self.kappa > 0.0).then(|| ((1.0 - self.sigma).max(0.0) / self.kappa).sqrt().max(1.0))
    }

    /// The highest throughput, or what it approaches.
    fn ceiling(&self) -> f64 {
        match self.peak() {
            Some(peak) => self.throughput(peak),
            None if self.sigma > 0.0 => self.lambda * (1.0 / self.sigma).max(1.0),
            None => f64::INFINITY,
        }
    }
}

impl Fit {
    /// The best curve.
    pub(crate) fn law(&self) -> Law {
        Law { lambda: self.lambda.value, sigma: self.sigma.value, kappa: self.kappa.value }
    }

    /// Whether κ is shown to be above zero: throughput falls beyond the peak.
    pub fn is_retrograde(&self) -> bool {
        self.kappa.low > 0.0
    }
}

/// Fits the law; an error says why not.
///
/// # Errors
/// Too few levels, or levels that are all alike.
pub fn fit(points: &[Point]) -> Result<Fit, String> {
    let different = distinct(points);
    if different < FEWEST_LEVELS {
        return Err(format!("{different} levels can be used, it takes {FEWEST_LEVELS}"));
    }
    let failed = || "the levels are too much alike".to_owned();
    let best = least_squares(points).ok_or_else(failed)?;
    let drawn = bootstrap(points, &best);
    if drawn.is_empty() {
        return Err(failed());
    }
    let tail = student_tail(different - PARAMETERS);
    let estimate = |of: &dyn Fn(&Law) -> f64| {
        let (low, high) = middle(drawn.iter().map(of).collect(), tail);
        let value = of(&best);
        Estimate { value, low: low.min(value), high: high.max(value) }
    };
    let kappa = estimate(&|law| law.kappa);
    Ok(Fit {
        lambda: estimate(&|law| law.lambda),
        sigma: estimate(&|law| law.sigma),
        ceiling: estimate(&Law::ceiling),
        peak_in_flight: best.peak().filter(|_| kappa.low > 0.0),
        kappa,
        points: points.to_vec(),
        band: band(points, &drawn, tail),
    })
}

/// Levels with a number in flight of their own.
fn distinct(points: &[Point]) -> usize {
    let mut all: Vec<f64> = points.iter().map(|point| point.in_flight).collect();
    all.sort_unstable_by(f64::total_cmp);
    all.dedup();
    all.len()
}

/// The law with the least squares of the relative errors of R, with neither σ nor κ below zero.
pub(crate) fn least_squares(points: &[Point]) -> Option<Law> {
    let mut weights: Vec<f64> = points.iter().map(|p| p.throughput / p.in_flight).collect();
    let mut law = None;
    for _ in 0..ROUNDS {
        let now = with_weights(points, &weights)?;
        weights = weights_of(points, &now);
        law = Some(now);
    }
    law
}

/// Errors are relative to the curve.
fn weights_of(points: &[Point], law: &Law) -> Vec<f64> {
    points.iter().map(|point| 1.0 / law.residence(point.in_flight)).collect()
}

/// The best of the laws in which none of σ and κ, one or both are zero.
fn with_weights(points: &[Point], weights: &[f64]) -> Option<Law> {
    let subsets = [[true; 3], [true, true, false], [true, false, true], [true, false, false]];
    let is_law = |law: &Law| points.iter().all(|point| law.residence(point.in_flight) > 0.0);
    let fitted =
        subsets.into_iter().filter_map(|used| weighted(points, weights, used)).filter(is_law);
    let error = |law: &Law| -> f64 {
        let each = points.iter().zip(weights).map(|(point, weight)| {
            let residence = point.in_flight / point.throughput;
            ((residence - law.residence(point.in_flight)) * weight).powi(2)
        });
        each.sum()
    };
    fitted.min_by(|a, b| error(a).total_cmp(&error(b)))
}

/// The relative error of R.
fn residual(point: &Point, law: &Law) -> f64 {
    point.in_flight / point.throughput / law.residence(point.in_flight) - 1.0
}

/// Weighted least squares with some of the columns 1, N−1, N(N−1); `None` if it has no solution, or one
/// that no law has.
fn weighted(points: &[Point], weights: &[f64], used: [bool; 3]) -> Option<Law> {
    let columns = |n: f64| [1.0, n - 1.0, n * (n - 1.0)];
    // Columns differ by orders of magnitude: each is scaled by its largest value.
    let mut scale = [f64::MIN_POSITIVE; 3];
    for point in points {
        for (scale, value) in scale.iter_mut().zip(columns(point.in_flight)) {
            *scale = scale.max(value.abs());
        }
    }
    let mut normal = [[0.0; 4]; 3];
    for (point, weight) in points.iter().zip(weights) {
        let mut row = columns(point.in_flight);
        for ((value, scale), used) in row.iter_mut().zip(scale).zip(used) {
            *value = if used { *value / scale * weight } else { 0.0 };
        }
        let wanted = point.in_flight / point.throughput * weight;
        for i in 0..3 {
            for j in 0..3 {
                normal[i][j] += row[i] * row[j];
            }
            normal[i][3] += row[i] * wanted;
        }
    }
    for i in (0..3).filter(|i| !used[*i]) {
        normal[i][i] = 1.0;
    }
    let [a, b, c] = solved(normal)?;
    let [a, b, c] = [a / scale[0], b / scale[1], c / scale[2]];
    (a > 0.0 && b >= 0.0 && c >= 0.0).then(|| Law { lambda: 1.0 / a, sigma: b / a, kappa: c / a })
}

/// Gaussian elimination with row pivots.
fn solved(mut rows: [[f64; 4]; 3]) -> Option<[f64; 3]> {
    for at in 0..3 {
        let pivot = (at..3).max_by(|a, b| rows[*a][at].abs().total_cmp(&rows[*b][at].abs()))?;
        rows.swap(at, pivot);
        if rows[at][at].abs() < 1e-12 {
            return None;
        }
        for below in at + 1..3 {
            let times = rows[below][at] / rows[at][at];
            let above = rows[at];
            for (value, above) in rows[below].iter_mut().zip(above) {
                *value -= times * above;
            }
        }
    }
    let mut solution = [0.0; 3];
    for at in (0..3).rev() {
        let known: f64 = (at + 1..3).map(|other| rows[at][other] * solution[other]).sum();
        solution[at] = (rows[at][3] - known) / rows[at][at];
    }
    Some(solution)
}

/// Laws of levels made anew: the best curve, with errors drawn from those that it has.
fn bootstrap(points: &[Point], best: &Law) -> Vec<Law> {
    let errors: Vec<f64> = points.iter().map(|point| residual(point, best)).collect();
    let count = errors.len() as f64;
    let mean = errors.iter().sum::<f64>() / count;
    // A fit is closer to its points than the truth is.
    let wider = (count / (count - PARAMETERS as f64)).sqrt();
    let errors: Vec<f64> = errors.iter().map(|error| (error - mean) * wider).collect();
    let weights = weights_of(points, best);
    let laws = resampled(&errors, RESAMPLES, SEED, |drawn| {
        let anew: Vec<Point> = points
            .iter()
            .zip(drawn)
            .map(|(point, error)| {
                let residence = best.residence(point.in_flight) * (1.0 + error).max(0.01);
                Point { in_flight: point.in_flight, throughput: point.in_flight / residence }
            })
            .collect();
        with_weights(&anew, &weights)
    });
    laws.into_iter().flatten().collect()
}

/// The values at both ends of the middle.
fn middle(mut values: Vec<f64>, tail: f64) -> (f64, f64) {
    let last = values.len() - 1;
    let outside = ((tail * values.len() as f64) as usize).min(last / 2);
    let (_, low, _) = values.select_nth_unstable_by(outside, f64::total_cmp);
    let low = *low;
    let (_, high, _) = values.select_nth_unstable_by(last - outside, f64::total_cmp);
    (low, *high)
}

/// Both ends of X for numbers in flight from the lowest to beyond the highest level, evenly by logarithm.
fn band(points: &[Point], drawn: &[Law], tail: f64) -> Vec<(f64, f64, f64)> {
    const STEPS: u32 = 60;
    let all = || points.iter().map(|point| point.in_flight);
    let (from, to) = (all().fold(f64::INFINITY, f64::min), all().fold(0.0, f64::max) * 2.0);
    let step = |n: u32| from * (to / from).powf(f64::from(n) / f64::from(STEPS));
    let at = |n: f64| {
        let (low, high) = middle(drawn.iter().map(|law| law.throughput(n)).collect(), tail);
        (n, low, high)
    };
    (0..=STEPS).map(|n| at(step(n))).collect()
}

#[cfg(test)]
mod tests;
