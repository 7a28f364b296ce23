//! Distributions of latencies: HdrHistogram with three significant digits, one microsecond to ten
//! minutes.

use crate::measured::{Percentiles, Point};
use hdrhistogram::Histogram;

/// Longer latencies count as this in the percentiles; the maximum stays exact.
pub(crate) const CLIP_US: u64 = 600_000_000;
/// Every value is kept to one part in a thousand.
const DIGITS: u8 = 3;
/// Points per halving of the distance to the highest value, in a distribution's curve.
const POINTS_PER_HALVING: u32 = 6;

/// A distribution with an exact maximum.
#[derive(Clone, Debug)]
pub(crate) struct Distribution {
    histogram: Histogram<u64>,
    max: u64,
}

impl Distribution {
    pub(crate) fn new() -> Self {
        let histogram = Histogram::new_with_bounds(1, CLIP_US, DIGITS)
            .expect("the bounds and the digits are constants in range");
        Self { histogram, max: 0 }
    }

    /// Records a latency; true if it had to be clipped.
    pub(crate) fn record(&mut self, us: u64) -> bool {
        self.histogram.saturating_record(us.min(CLIP_US));
        self.max = self.max.max(us);
        us > CLIP_US
    }

    pub(crate) fn clear(&mut self) {
        if !self.is_empty() {
            self.histogram.reset();
            self.max = 0;
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        // Most are empty: few seconds have faults.
        if !other.is_empty() {
            self.histogram.add(&other.histogram).expect("all have the same bounds");
            self.max = self.max.max(other.max);
        }
    }

    /// Adds a histogram from elsewhere; false if it has values that no distribution has.
    pub(crate) fn add_histogram(&mut self, other: &Histogram<u64>) -> bool {
        let fits = self.histogram.add(other).is_ok();
        self.max = self.max.max(other.max());
        fits
    }

    pub(crate) fn histogram(&self) -> &Histogram<u64> {
        &self.histogram
    }

    pub(crate) fn len(&self) -> u64 {
        self.histogram.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.histogram.is_empty()
    }

    /// The value that a share of all values does not exceed.
    pub(crate) fn quantile(&self, quantile: f64) -> Option<u64> {
        // A bucket answers with its upper end, which can lie above everything that was recorded.
        (!self.is_empty()).then(|| self.histogram.value_at_quantile(quantile).min(self.max))
    }

    pub(crate) fn percentiles(&self) -> Percentiles {
        Percentiles {
            count: self.histogram.len(),
            p50_us: self.quantile(0.50),
            p90_us: self.quantile(0.90),
            p95_us: self.quantile(0.95),
            p99_us: self.quantile(0.99),
            p999_us: self.quantile(0.999),
            max_us: (!self.is_empty()).then_some(self.max),
        }
    }

    /// How many values are at most each of some bounds, which rise; to 0.1 %.
    pub(crate) fn at_most<const N: usize>(&self, bounds_us: [u64; N]) -> [u64; N] {
        let mut counts = [0; N];
        for value in self.histogram.iter_recorded() {
            let at = bounds_us.partition_point(|bound| *bound < value.value_iterated_to());
            if let Some(count) = counts.get_mut(at) {
                *count += value.count_since_last_iteration();
            }
        }
        let mut sum = 0;
        counts.map(|count| {
            sum += count;
            sum
        })
    }

    pub(crate) fn mean(&self) -> Option<f64> {
        (!self.is_empty()).then(|| self.histogram.mean())
    }

    pub(crate) fn curve(&self) -> Vec<Point> {
        let mut points: Vec<Point> = self
            .histogram
            .iter_quantiles(POINTS_PER_HALVING)
            .map(|step| Point {
                quantile: step.quantile_iterated_to(),
                value_us: step.value_iterated_to().min(self.max),
            })
            .collect();
        // The iterator repeats a value while it halves the rest of a bucket.
        points.dedup_by(|next, kept| next.quantile <= kept.quantile);
        points
    }
}

/// A distribution of what was calm, and one of what met faults.
#[derive(Clone, Debug)]
pub(crate) struct Split {
    pub(crate) calm: Distribution,
    pub(crate) under_fault: Distribution,
}

impl Split {
    pub(crate) fn new() -> Self {
        Self { calm: Distribution::new(), under_fault: Distribution::new() }
    }

    pub(crate) fn record(&mut self, us: u64, under_fault: bool) -> bool {
        if under_fault { self.under_fault.record(us) } else { self.calm.record(us) }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.calm.add(&other.calm);
        self.under_fault.add(&other.under_fault);
    }

    fn clear(&mut self) {
        self.calm.clear();
        self.under_fault.clear();
    }

    pub(crate) fn len(&self) -> u64 {
        self.calm.len() + self.under_fault.len()
    }

    /// Both together.
    pub(crate) fn all(&self) -> Distribution {
        let mut all = self.calm.clone();
        all.add(&self.under_fault);
        all
    }
}

/// What is recorded second by second.
pub(crate) struct BySecond {
    /// Before the second that is under way.
    pub(crate) run: Split,
    pub(crate) second: Split,
}

impl BySecond {
    pub(crate) fn new() -> Self {
        Self { run: Split::new(), second: Split::new() }
    }

    /// A second is over: all of it; `log` gets it, too, if there is anything.
    pub(crate) fn end_second(&mut self, log: impl FnOnce(&Split)) -> Distribution {
        let all = self.second.all();
        if !all.is_empty() {
            log(&self.second);
            self.run.add(&self.second);
            self.second.clear();
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::{CLIP_US, Distribution};
    use crate::measure::operation::Operation;
    use crate::measure::recorder::{Recorder, Took};
    use proptest::prelude::*;

    /// The definition: the smallest value that at least this share of the values do not exceed.
    fn exact(sorted: &[u64], quantile: f64) -> u64 {
        let rank = (quantile * sorted.len() as f64).ceil().max(1.0) as usize;
        sorted[rank - 1]
    }

    proptest! {
        #[test]
        fn percentiles_are_exact_to_one_part_in_a_thousand(
            mut values in prop::collection::vec(
                prop_oneof![0_u64..100, 0_u64..1_000_000, 0..=CLIP_US], 1..400
            )
        ) {
            let mut distribution = Distribution::new();
            for value in &values {
                prop_assert!(!distribution.record(*value));
            }
            values.sort_unstable();
            let got = distribution.percentiles();
            prop_assert_eq!(got.count, values.len() as u64);
            prop_assert_eq!(got.max_us, values.last().copied());
            for (quantile, got) in
                [(0.5, got.p50_us), (0.95, got.p95_us), (0.99, got.p99_us), (0.999, got.p999_us)]
            {
                let want = exact(&values, quantile);
                let got = got.unwrap_or_default();
                prop_assert!(got >= want && got <= want + want / 1_000 + 1, "{got} for {want}");
            }
        }

        #[test]
        fn calm_and_under_fault_add_up_to_all(
            values in prop::collection::vec((0_u64..10_000_000, any::<bool>()), 0..200)
        ) {
            let mut recorder = Recorder::new();
            for (value, under_fault) in &values {
                let operation = Operation::ALL[(value % 4) as usize];
                recorder.record(Took { us: *value, late_us: 0, operation, under_fault: *under_fault });
                if value % 40 == 0 {
                    recorder.end_second(|_| ());
                }
            }
            let latency = recorder.finish(None, |_| ());
            prop_assert_eq!(latency.all.count, values.len() as u64);
            prop_assert_eq!(latency.all.count, latency.calm.count + latency.under_fault.count);
            for (number, (_, found)) in latency.operations.named().iter().enumerate() {
                let of_it = values.iter().map(|one| one.0).filter(|us| us % 4 == number as u64);
                prop_assert_eq!((found.count, found.max_us), (of_it.clone().count() as u64, of_it.max()));
            }
            prop_assert_eq!(latency.all.max_us, values.iter().map(|(value, _)| *value).max());
            for pair in latency.distribution.windows(2) {
                prop_assert!(pair[0].quantile < pair[1].quantile);
                prop_assert!(pair[0].value_us <= pair[1].value_us);
            }
        }
    }

    #[test]
    fn nothing_recorded_has_no_percentiles() {
        let latency = Recorder::new().finish(None, |_| ());
        assert_eq!(latency.all.count, 0);
        assert_eq!(latency.all.p99_us, None);
        assert_eq!(latency.all.max_us, None);
        assert!(latency.distribution.is_empty());
    }

    #[test]
    fn the_maximum_is_exact_even_where_the_percentiles_are_clipped() {
        let mut distribution = Distribution::new();
        assert!(distribution.record(2 * CLIP_US + 1));
        assert_eq!(distribution.percentiles().max_us, Some(2 * CLIP_US + 1));
    }
}
