//! Whether a load was in a steady state, and from when on: how much of its beginning is warm-up.
//!
//! MSER (White, "An effective truncation heuristic for bias reduction in simulation output", Simulation
//! 69, 1997): cut so much of the beginning that the rest has the smallest standard error of its mean. Where
//! that is more than half of the series, it drifts: there is no steady state (White, Cobb and Spratt, 2000).
//! MSER looks at the beginning; a series that drifts at its end, as that of a cluster beyond its knee does,
//! is told by its trend (Mann, 1945; Kendall, 1975).

use crate::measured::{Measured, SECOND_US, Steady};
use verify::history::event::Phase;

/// Fewer seconds say nothing.
const FEWEST: usize = 10;
/// Seconds of a batch in a long series (MSER-5); a short one has at least so many batches.
const BATCH_MAX: usize = 5;
const BATCHES_MIN: usize = 20;
/// Standard deviations of a trend that is none by chance (one in two hundred), and the least that the last
/// quarter must differ by: with thousands of answers in a second, a trend of a per cent is none by chance.
const TREND: f64 = 2.6;
const DRIFT: f64 = 1.5;

/// Since when the median time until accepted was steady, second by second of the load; `None` if there
/// were faults, which are no steady state, or the load was too short. `division`: the first second, from one
/// on, at which the run can be divided.
pub(crate) fn steady(measured: &Measured, division: impl Fn(usize) -> usize) -> Option<Steady> {
    if !measured.faults.is_empty() {
        return None;
    }
    let (first, seconds) = (measured.first_second(Phase::Load)?, measured.seconds_of(Phase::Load)?);
    // A second without an answer is one in which nobody asked, or a stall; the next one tells.
    let answered = (0..).zip(seconds);
    let series: Vec<(usize, f64)> =
        answered.filter_map(|(at, second)| Some((at, second.accept_p50_us? as f64))).collect();
    let values: Vec<f64> = series.iter().map(|(_, value)| *value).collect();
    (series.len() >= FEWEST).then(|| match mser(&values) {
        Some(cut) if !has_trend(&values[cut..]) && cut > 0 => {
            let second = division(first + series[cut].0);
            let at_us = second as u64 * SECOND_US;
            Steady::From { at_us, warm_up_s: (second - first) as u32 }
        }
        Some(0) if !has_trend(&values) => Steady::From { at_us: 0, warm_up_s: 0 },
        _ => Steady::Never,
    })
}

/// How many values of a series are its warm-up, to a batch; `None`: it drifts.
fn mser(series: &[f64]) -> Option<usize> {
    let size = (series.len() / BATCHES_MIN).clamp(1, BATCH_MAX);
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let batches: Vec<f64> = series.chunks_exact(size).map(mean).collect();
    // A cut so near to the end that hardly anything is left says nothing.
    let cuts = 0..=batches.len() * 3 / 4;
    let error = |cut: usize| {
        let rest = &batches[cut..];
        let mean = mean(rest);
        let squares: f64 = rest.iter().map(|value| (value - mean).powi(2)).sum();
        squares / (rest.len() as f64).powi(2)
    };
    let errors = cuts.map(|cut| (cut, error(cut)));
    let best = errors.min_by(|(_, a), (_, b)| a.total_cmp(b)).map_or(0, |(cut, _)| cut);
    (best <= batches.len() / 2).then_some(best * size)
}

/// Whether a series rises to its end by more than chance, and by something.
fn has_trend(series: &[f64]) -> bool {
    let count = series.len();
    if count < FEWEST {
        return false;
    }
    let rises = |at: usize| {
        let later = series[at + 1..].iter().map(|value| value.total_cmp(&series[at]) as i64);
        later.sum::<i64>()
    };
    let all = (0..count).map(rises).sum::<i64>() as f64;
    let n = count as f64;
    let deviation = (n * (n - 1.0) * 2.0f64.mul_add(n, 5.0) / 18.0).sqrt();
    let median = |values: &[f64]| {
        let mut values = values.to_vec();
        values.sort_unstable_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let (before, last) = series.split_at(count - count / 4);
    all > TREND * deviation && median(last) > DRIFT * median(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noise around 0, from -1 to 1, always the same.
    fn noise(at: usize) -> f64 {
        let mut mixed = (at as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        mixed ^= mixed >> 29;
        mixed = mixed.wrapping_mul(0xBF58_476D_1CE4_E5B9);
        ((mixed >> 40) as f64 / f64::from(1 << 24)).mul_add(2.0, -1.0)
    }

    fn series(seconds: usize, value: impl Fn(f64) -> f64) -> Vec<f64> {
        (0..seconds).map(|at| value(at as f64) * 0.1f64.mul_add(noise(at), 1.0)).collect()
    }

    #[test]
    fn noise_alone_is_steady() {
        for seconds in [10, 20, 40, 100, 1_000] {
            let Some(cut) = mser(&series(seconds, |_| 5_000.0)) else { panic!("{seconds}") };
            assert!(cut <= seconds / 4, "{cut} of {seconds}");
        }
    }

    #[test]
    fn a_slow_beginning_is_cut() {
        let warms_up = |at: f64| if at < 12.0 { 90_000.0 } else { 5_000.0 };
        assert_eq!(mser(&series(40, warms_up)), Some(12));
        // In batches of five.
        let Some(cut) = mser(&series(200, warms_up)) else { panic!("it is steady") };
        assert!((11..25).contains(&cut), "{cut}");
        let decays = |at: f64| 80_000.0f64.mul_add((-at / 4.0).exp(), 5_000.0);
        let Some(cut) = mser(&series(60, decays)) else { panic!("it is steady") };
        assert!((8..28).contains(&cut), "{cut}");
    }

    #[test]
    fn what_grows_all_the_time_is_never_steady() {
        assert_eq!(mser(&series(40, |at| 900.0f64.mul_add(at, 5_000.0))), None);
        let knee =
            |at: f64| if at < 30.0 { 5_000.0 } else { 40_000.0f64.mul_add(at - 29.0, 5_000.0) };
        assert!(has_trend(&series(40, knee)), "it drifts at its end");
        let creeps = |at: f64| 20.0f64.mul_add(at, 5_000.0);
        assert!(!has_trend(&series(60, creeps)), "a quarter more is not worth a word");
        for seconds in [10, 40, 1_000] {
            assert!(!has_trend(&series(seconds, |_| 5_000.0)), "{seconds}");
        }
    }

    #[test]
    fn a_single_stall_is_no_drift() {
        let stalls = |at: f64| if (at - 20.0).abs() < 0.5 { 60_000.0 } else { 5_000.0 };
        assert!(mser(&series(60, stalls)).is_some());
    }
}
