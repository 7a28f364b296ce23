//! Figures of several runs together: a percentile of all their values, or a sum over another.

use super::bootstrap::Replicates;
use crate::measure::latency::Distribution;

/// One figure of each run of a side.
pub(crate) enum Figures {
    /// A percentile of all values together.
    Quantile(Quantile),
    /// The sum of the first over the sum of the second: accepted over seconds.
    Share(Vec<(f64, f64)>),
}

impl Replicates for Figures {
    fn runs(&self) -> usize {
        match self {
            Self::Quantile(quantile) => quantile.up_to.len(),
            Self::Share(sums) => sums.len(),
        }
    }

    fn figure(&self, times: &[u32]) -> f64 {
        match self {
            Self::Quantile(quantile) => quantile.value(times),
            Self::Share(sums) => {
                let (mut part, mut whole) = (0.0, 0.0);
                for ((one, of), times) in sums.iter().zip(times).filter(|(_, times)| **times > 0) {
                    part += one * f64::from(*times);
                    whole += of * f64::from(*times);
                }
                part / whole
            }
        }
    }
}

/// Merged histograms, ready to be asked thousands of times.
pub(crate) struct Quantile {
    share: f64,
    /// Values that occur, rising.
    values: Vec<u64>,
    /// For each run: how many of its values are at most each of these.
    up_to: Vec<Vec<u64>>,
}

impl Quantile {
    /// Of runs that all have values.
    pub(crate) fn new(share: f64, runs: &[Distribution]) -> Self {
        let counted = |run: &Distribution| -> Vec<(u64, u64)> {
            let steps = run.histogram().iter_recorded();
            steps.map(|step| (step.value_iterated_to(), step.count_at_value())).collect()
        };
        let runs: Vec<_> = runs.iter().map(counted).collect();
        let mut values: Vec<u64> = runs.iter().flatten().map(|(value, _)| *value).collect();
        values.sort_unstable();
        values.dedup();
        let up_to = |run: &Vec<(u64, u64)>| {
            let (mut recorded, mut sum) = (run.iter().peekable(), 0);
            let up_to = values.iter().map(|value| {
                if let Some((_, count)) = recorded.next_if(|(recorded, _)| recorded == value) {
                    sum += count;
                }
                sum
            });
            up_to.collect()
        };
        let up_to = runs.iter().map(up_to).collect();
        Self { share, values, up_to }
    }

    /// Values above the percentile, in all runs together.
    pub(crate) fn beyond(&self) -> u64 {
        let all: u64 = self.up_to.iter().filter_map(|run| run.last()).sum();
        (all as f64 * (1.0 - self.share)).floor() as u64
    }

    fn value(&self, times: &[u32]) -> f64 {
        let up_to = |index: usize| -> u64 {
            let runs = self.up_to.iter().zip(times);
            runs.map(|(run, times)| run[index] * u64::from(*times)).sum()
        };
        let last = self.values.len() - 1;
        // As HdrHistogram counts: the smallest value that enough values do not exceed.
        let enough = (self.share * up_to(last) as f64).ceil().max(1.0) as u64;
        let (mut low, mut high) = (0, last);
        while low < high {
            let middle = usize::midpoint(low, high);
            if up_to(middle) >= enough { high = middle } else { low = middle + 1 }
        }
        self.values[low] as f64
    }
}

#[cfg(test)]
mod tests {
    use super::{Figures, Quantile};
    use crate::compare::bootstrap::Replicates;
    use crate::measure::latency::Distribution;
    use proptest::prelude::*;

    fn distribution(values: &[u64]) -> Distribution {
        let mut distribution = Distribution::new();
        for value in values {
            distribution.record(*value);
        }
        distribution
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_percentile_of_several_runs_is_that_of_the_merged_histogram(
            runs in prop::collection::vec(prop::collection::vec(1_u64..2_000_000, 1..40), 1..5),
            times in prop::collection::vec(0_u32..4, 5),
            quantile in prop_oneof![Just(0.5), Just(0.9), Just(0.99), Just(0.999)],
        ) {
            prop_assume!(times[..runs.len()].iter().any(|times| *times > 0));
            let runs: Vec<_> = runs.iter().map(|run| distribution(run)).collect();
            let mut merged = Distribution::new();
            for (run, times) in runs.iter().zip(&times) {
                (0..*times).for_each(|_| merged.add(run));
            }
            let figures = Figures::Quantile(Quantile::new(quantile, &runs));
            let got = figures.figure(&times[..runs.len()]);
            let want = merged.histogram().value_at_quantile(quantile) as f64;
            prop_assert!((got - want).abs() < 0.5, "{got} for {want}");
        }
    }

    #[test]
    fn a_share_weighs_runs_by_their_size() {
        let figures = Figures::Share(vec![(1.0, 10.0), (3.0, 10.0), (0.0, 80.0)]);
        assert!((figures.together() - 0.04).abs() < 1e-12);
        assert!((figures.figure(&[0, 2, 0]) - 0.3).abs() < 1e-12);
        let never = Figures::Share(vec![(f64::INFINITY, 1.0), (2.0, 1.0)]);
        assert!(never.together().is_infinite());
        assert!((never.figure(&[0, 1]) - 2.0).abs() < 1e-12);
    }
}
