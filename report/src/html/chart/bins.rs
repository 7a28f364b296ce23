//! As many points as a chart can show: seconds, put together where there are too many.

use crate::measured::Second;

/// More points than this cannot be told apart on a laptop's screen.
const BINS_MAX: usize = 480;

/// The rows of a chart.
pub(crate) struct Bins {
    /// Seconds in each.
    pub(crate) seconds: usize,
    /// In order, without holes.
    pub(crate) rows: Vec<Bin>,
}

/// Some seconds as one point.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Bin {
    /// Where it begins, in seconds.
    pub(crate) from_s: f64,
    /// Where it ends, in seconds.
    pub(crate) to_s: f64,
    /// Per second, on average.
    pub(crate) sent: f64,
    /// Per second, on average.
    pub(crate) accepted: f64,
    /// Per second, on average.
    pub(crate) delivered: f64,
    /// Per second, on average.
    pub(crate) rejected: f64,
    /// Per second, on average.
    pub(crate) resent: f64,
    /// Per second, on average.
    pub(crate) closed: f64,
    /// At the end.
    pub(crate) connected: f64,
    /// The highest of its seconds, and so are the others.
    pub(crate) accept_p50_us: Option<u64>,
    pub(crate) accept_p99_us: Option<u64>,
    pub(crate) deliver_p50_us: Option<u64>,
    pub(crate) deliver_p99_us: Option<u64>,
}

impl Bins {
    pub(crate) fn of(seconds: &[Second], ended_us: u64) -> Self {
        let width = seconds.len().div_ceil(BINS_MAX).max(1);
        let rows = seconds.chunks(width).enumerate();
        let rows = rows.map(|(index, chunk)| Bin::of(index * width, chunk, ended_us)).collect();
        Self { seconds: width, rows }
    }

    /// The highest of some values.
    pub(crate) fn highest(&self, value: impl Fn(&Bin) -> f64) -> f64 {
        self.rows.iter().map(value).fold(0.0, f64::max)
    }
}

impl Bin {
    pub(crate) fn middle_s(&self) -> f64 {
        f64::midpoint(self.from_s, self.to_s)
    }

    fn of(first_second: usize, seconds: &[Second], ended_us: u64) -> Self {
        // The last second may be a part of one only.
        let from = first_second as f64;
        let to = (from + seconds.len() as f64).min(ended_us as f64 / 1e6);
        let per_second = |value: fn(&Second) -> u32| {
            let sum: f64 = seconds.iter().map(|second| f64::from(value(second))).sum();
            // A rate over less than half a second would be noise, blown up.
            sum / (to - from).clamp(0.5, seconds.len() as f64)
        };
        let highest = |value: fn(&Second) -> Option<u64>| seconds.iter().filter_map(value).max();
        Self {
            from_s: from,
            to_s: to.max(from),
            sent: per_second(|second| second.sent),
            accepted: per_second(|second| second.accepted),
            delivered: per_second(|second| second.delivered),
            rejected: per_second(|second| second.rejected),
            resent: per_second(|second| second.resent),
            closed: per_second(|second| second.closed),
            connected: seconds.last().map_or(0.0, |second| f64::from(second.connected)),
            accept_p50_us: highest(|second| second.accept_p50_us),
            accept_p99_us: highest(|second| second.accept_p99_us),
            deliver_p50_us: highest(|second| second.deliver_p50_us),
            deliver_p99_us: highest(|second| second.deliver_p99_us),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BINS_MAX, Bins};
    use crate::measured::Second;

    #[test]
    fn a_long_run_keeps_its_sums_and_its_peaks() {
        let seconds: Vec<Second> = (0..28_800)
            .map(|n| Second { sent: n % 7, accept_p99_us: Some(u64::from(n)), ..Second::default() })
            .collect();
        let bins = Bins::of(&seconds, 28_800_000_000);
        assert_eq!((bins.seconds, bins.rows.len()), (60, BINS_MAX));
        let sum: f64 = bins.rows.iter().map(|bin| bin.sent * 60.0).sum();
        let want: f64 = seconds.iter().map(|second| f64::from(second.sent)).sum();
        assert!((sum - want).abs() < 1e-6 * want);
        assert_eq!(bins.rows[479].accept_p99_us, Some(28_799));
    }

    #[test]
    fn a_part_of_a_second_is_no_lower_rate() {
        let seconds = [Second { sent: 100, ..Second::default() }; 2];
        let bins = Bins::of(&seconds, 1_500_000);
        assert!((bins.rows[1].sent - 200.0).abs() < 1e-9);
        assert!((bins.rows[1].middle_s() - 1.25).abs() < 1e-9);
        assert!(Bins::of(&[], 0).rows.is_empty());
    }
}
