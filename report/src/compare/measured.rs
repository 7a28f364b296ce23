//! A figure as both sides have it, and what their runs show of its change.

use super::bootstrap::{FEWEST_RUNS, Interval, Replicates, TAIL, WRONG, interval, ratio};
use super::metric::Metric;
use super::permutation::{ByChance, by_chance, ways};
use super::replicates::Figures;
use super::{Compared, Outcome};
use crate::past_run::PastRun;

/// Fewest values above a percentile that say where it is.
const FEWEST_BEYOND: u64 = 10;
/// The draws are the same in every comparison.
const SEED: u64 = 1;

/// One figure of the runs of both sides.
pub(crate) struct Measured {
    pub(crate) metric: &'static Metric,
    a: Option<Figures>,
    b: Option<Figures>,
    /// Those of A, then those of B.
    all: Option<Figures>,
    /// Why the runs are not enough.
    pub(crate) unsaid: Option<String>,
}

/// The change from A to B.
#[derive(Clone, Copy)]
pub(crate) struct Change {
    pub(crate) ratio: f64,
    pub(crate) interval: Interval,
}

impl Measured {
    /// `None`: no run has it.
    pub(crate) fn of(metric: &'static Metric, a: &[PastRun], b: &[PastRun]) -> Option<Self> {
        let figures = (metric.figures(a.iter()), metric.figures(b.iter()));
        if matches!(figures, (None, None)) {
            return None;
        }
        let unsaid = unsaid(figures.0.as_ref(), a.len(), "A")
            .or_else(|| unsaid(figures.1.as_ref(), b.len(), "B"));
        let all = metric.figures(a.iter().chain(b));
        Some(Self { metric, a: figures.0, b: figures.1, all, unsaid })
    }

    /// Whether there is anything to compare.
    pub(crate) const fn is_on_both(&self) -> bool {
        self.a.is_some() && self.b.is_some()
    }

    /// Its change, with an interval that is one of so many that hold together; `None`: too few runs.
    pub(crate) fn change(&self, together: usize) -> Option<Change> {
        let (a, b) = (self.a.as_ref()?, self.b.as_ref()?);
        let interval = interval(a, b, TAIL / together as f64, SEED)?;
        Some(Change { ratio: ratio(a.together(), b.together()), interval })
    }

    /// Why one of so many statements cannot be trusted: dealing the same runs out at random shows as much too
    /// often. `way`: the probability of what is to be stated.
    pub(crate) fn too_often(
        &self,
        together: usize,
        way: impl Fn(ByChance) -> f64,
    ) -> Option<String> {
        let (a, all) = (self.a.as_ref()?.runs(), self.all.as_ref()?);
        let may_be = WRONG / together as f64;
        let share = way(by_chance(all, a, SEED));
        if share <= may_be * (1.0 + 1e-9) {
            return None;
        }
        let [share, may_be_told] = [share, may_be].map(|share| format!("{:.1} %", share * 100.0));
        let of = if together == 1 { "it" } else { "each of these figures" };
        let why = format!(
            "dealing the same runs out at random shows as much in {share} of cases; {of} may in {may_be_told}"
        );
        // Nothing is less likely than one of all ways.
        let least = |runs| {
            let one = 1.0 / ways(runs, runs);
            way(ByChance { rise: one, fall: one })
        };
        let has = a.min(all.runs() - a);
        let takes = (has..100).find(|runs| least(*runs) <= may_be * (1.0 + 1e-9)).unwrap_or(has);
        Some(if takes > has { format!("{why}: it takes {takes} runs a side") } else { why })
    }

    /// What is said of it, as one of so many figures.
    pub(crate) fn judged(&self, together: usize, tolerance: f64) -> Compared {
        let value = |figures: &Option<Figures>| figures.as_ref().map(Replicates::together);
        let (a, b) = (value(&self.a), value(&self.b));
        let change = self.change(together);
        let mut compared = Compared {
            metric: self.metric.name,
            a,
            b,
            ratio: a.zip(b).map(|(a, b)| ratio(a, b)),
            low: change.map(|change| change.interval.low),
            high: change.map(|change| change.interval.high),
            outcome: Outcome::NotClear,
            why: self.unsaid.clone(),
        };
        if let (None, Some(change)) = (&compared.why, change) {
            let shown = change.shown(tolerance, self.metric.higher_is_better);
            let is_difference = matches!(shown, Outcome::Better | Outcome::Worse);
            compared.why =
                is_difference.then(|| self.too_often(together, ByChance::either)).flatten();
            compared.outcome = if compared.why.is_some() { Outcome::NotClear } else { shown };
        }
        compared
    }
}

impl Change {
    /// What the interval shows.
    fn shown(&self, tolerance: f64, higher_is_better: bool) -> Outcome {
        let Self { ratio, interval: Interval { low, high } } = *self;
        let (least, most) = (1.0 - tolerance, 1.0 + tolerance);
        if low >= least && high <= most {
            return Outcome::Same;
        }
        let rises = low > 1.0 && ratio > most;
        let falls = high < 1.0 && ratio < least;
        match (rises, falls) {
            (false, false) => Outcome::NotClear,
            (rises, _) if rises == higher_is_better => Outcome::Better,
            _ => Outcome::Worse,
        }
    }
}

/// Why a side is not enough for an interval.
fn unsaid(figures: Option<&Figures>, runs: usize, side: &str) -> Option<String> {
    let Some(figures) = figures else { return Some(format!("no run of {side} has it")) };
    let known = figures.runs();
    if known < FEWEST_RUNS {
        let of = if known < runs { format!("{known} of {runs} runs") } else { told(runs) };
        return Some(format!(
            "{side} has it of {of}; how much runs differ takes at least {FEWEST_RUNS}"
        ));
    }
    match figures {
        Figures::Quantile(quantile) if quantile.beyond() < FEWEST_BEYOND => Some(format!(
            "{side} has {} values beyond it; it takes {FEWEST_BEYOND}",
            quantile.beyond()
        )),
        _ => None,
    }
}

fn told(runs: usize) -> String {
    if runs == 1 { "1 run".to_owned() } else { format!("{runs} runs") }
}

#[cfg(test)]
mod tests {
    use super::super::metric::METRICS;
    use super::*;
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    /// Twelve figures of six runs a side of one build, whose runs differ by a fifth: the tolerance does not
    /// help there.
    #[test]
    fn one_build_stands_out_in_at_most_one_of_twenty_comparisons() {
        let mut random = SmallRng::seed_from_u64(7);
        let mut stands_out = || {
            let measured = METRICS[..12].iter().map(|metric| {
                let mut values = || (random.random_range(0.8..1.2), 1.0);
                let all: Vec<(f64, f64)> = (0..12).map(|_| values()).collect();
                let [a, b, all] =
                    [&all[..6], &all[6..], &all].map(|runs| Some(Figures::Share(runs.to_vec())));
                Measured { metric, a, b, all, unsaid: None }.judged(12, 0.05).outcome
            });
            let outcomes: Vec<Outcome> = measured.collect();
            outcomes.iter().any(|one| matches!(one, Outcome::Better | Outcome::Worse))
        };
        let apart = (0..100).filter(|_| stands_out()).count();
        assert!(apart <= 5, "{apart} of 100");
    }
}
