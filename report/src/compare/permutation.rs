//! Whether chance explains a change: the permutation test of whole runs.
//!
//! If B is as A, then which runs are on which side is chance, and every way to deal them out was as likely as
//! the one that came out. The share of ways that show as much is the probability of being misled, exactly,
//! whatever the values are like (E. J. G. Pitman, "Significance Tests Which May be Applied to Samples from
//! Any Populations", Supplement to the Journal of the Royal Statistical Society 4, 1937).

use super::bootstrap::{Replicates, below, ratio};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// More ways than this are not gone through: so many are drawn.
const DEALS: u64 = 20_000;
/// What rounding may make of two equal ratios.
const ROUNDING: f64 = 1e-12;

/// How often dealing the runs out at random shows as much as the sides do, by direction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ByChance {
    /// A ratio at least as high.
    pub(crate) rise: f64,
    /// A ratio at least as low.
    pub(crate) fall: f64,
}

impl ByChance {
    /// A ratio at least as far from no change, in either direction.
    pub(crate) fn either(self) -> f64 {
        (2.0 * self.rise.min(self.fall)).min(1.0)
    }
}

/// In how many ways runs can be dealt out to sides of these sizes.
pub(crate) fn ways(a: usize, b: usize) -> f64 {
    (1..=a).map(|n| (b + n) as f64 / n as f64).product()
}

/// Of runs that are all together, the first `of_a` on side A.
pub(crate) fn by_chance<R: Replicates>(all: &R, of_a: usize, seed: u64) -> ByChance {
    let runs = all.runs();
    let ratio_of = |is_a: &dyn Fn(usize) -> bool| {
        let side = |a: bool| -> Vec<u32> { (0..runs).map(|n| u32::from(is_a(n) == a)).collect() };
        ratio(all.figure(&side(true)), all.figure(&side(false)))
    };
    let seen = ratio_of(&|run| run < of_a);
    let (mut rises, mut falls, mut deals) = (0_u64, 0_u64, 0_u64);
    let mut count = |ratio: f64| {
        rises += u64::from(ratio >= seen * (1.0 - ROUNDING));
        falls += u64::from(ratio <= seen * (1.0 + ROUNDING));
        deals += 1;
    };
    if runs < 64 && ways(of_a, runs - of_a) <= DEALS as f64 {
        let mut deal: u64 = (1 << of_a) - 1;
        while deal < 1 << runs {
            count(ratio_of(&|run| deal >> run & 1 == 1));
            deal = next_of_as_many(deal);
        }
    } else {
        // The one that came out is one of them.
        count(seen);
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut order: Vec<usize> = (0..runs).collect();
        for _ in 1..DEALS {
            for at in 0..of_a {
                order.swap(at, at + below(runs - at, &mut random));
            }
            let mut is_a = vec![false; runs];
            order[..of_a].iter().for_each(|run| is_a[*run] = true);
            count(ratio_of(&|run| is_a[run]));
        }
    }
    ByChance { rise: rises as f64 / deals as f64, fall: falls as f64 / deals as f64 }
}

/// The next higher number with as many bits (Gosper; HAKMEM, item 175).
const fn next_of_as_many(bits: u64) -> u64 {
    let lowest = bits & bits.wrapping_neg();
    let ripple = bits + lowest;
    ripple | (((bits ^ ripple) >> 2) / lowest)
}

#[cfg(test)]
mod tests {
    use super::super::replicates::Figures;
    use super::*;

    fn all(values: &[f64]) -> Figures {
        Figures::Share(values.iter().map(|value| (*value, 1.0)).collect())
    }

    fn is(got: f64, want: f64) -> bool {
        (got - want).abs() < 1e-12
    }

    #[test]
    fn every_way_to_deal_the_runs_out_counts_once() {
        // 1 and 2 against 3 and 4: of six ways one has all of the higher ones in B.
        let apart = by_chance(&all(&[1.0, 2.0, 3.0, 4.0]), 2, 1);
        assert!(is(apart.rise, 1.0 / 6.0) && is(apart.fall, 1.0), "{apart:?}");
        assert!(is(apart.either(), 1.0 / 3.0));
        let turned = by_chance(&all(&[3.0, 4.0, 1.0, 2.0]), 2, 1);
        assert!(is(turned.fall, 1.0 / 6.0) && is(turned.rise, 1.0), "{turned:?}");
        // By hand: 1 and 3 against 2 and 4 have the ratio 6 / 4, which {1, 2} against {3, 4} alone exceeds.
        let mixed = by_chance(&all(&[1.0, 3.0, 2.0, 4.0]), 2, 1);
        assert!(is(mixed.rise, 2.0 / 6.0), "{mixed:?}");
        let alike = by_chance(&all(&[5.0; 7]), 3, 1);
        assert!(is(alike.rise, 1.0) && is(alike.either(), 1.0), "{alike:?}");
    }

    #[test]
    fn what_is_too_much_to_go_through_is_drawn() {
        for (a, b, want) in [(3, 3, 20.0), (5, 5, 252.0), (3, 5, 56.0), (12, 12, 2_704_156.0)] {
            assert!((ways(a, b) / want - 1.0).abs() < 1e-12, "{a} {b}");
        }
        let apart: Vec<f64> = (1..=24).map(f64::from).collect();
        let drawn = by_chance(&all(&apart), 12, 1);
        assert!(drawn.rise <= 2.0 / DEALS as f64 && is(drawn.fall, 1.0), "{drawn:?}");
        let alternating: Vec<f64> = (1..=24).map(|n| f64::from(n % 2 + 1)).collect();
        let drawn = by_chance(&all(&alternating), 12, 1);
        assert!(drawn.either() > 0.5, "{drawn:?}");
    }
}
