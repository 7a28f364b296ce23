//! When operations arrive: an open-loop process whose rate changes over time.
//!
//! Arrivals are drawn at unit rate and stretched by the inverse of the cumulative rate, so that no
//! change of the rate disturbs the process (Lewis and Shedler, 1979).

use super::random;
use rand::Rng;
use rand::rngs::SmallRng;
use rand_distr::Exp1;
use scenarios::intensity::Piece;
use scenarios::scenario::Arrivals as Kind;
use std::time::Duration;

/// The times of all arrivals, in order.
#[derive(Debug)]
pub struct Arrivals<'a> {
    kind: Kind,
    random: SmallRng,
    /// The piece that the process is in, and those after it.
    pieces: std::slice::Iter<'a, Piece>,
    piece: Option<&'a Piece>,
    /// When that piece began, and the arrivals expected before it.
    began: f64,
    expected_before: f64,
    /// The process at unit rate.
    units: f64,
}

impl<'a> Arrivals<'a> {
    /// Arrivals at the rate that pieces, one after another, have.
    pub fn new(kind: Kind, pieces: &'a [Piece], seed: u64) -> Self {
        let mut pieces = pieces.iter();
        Self {
            kind,
            random: random::stream(seed, "arrivals", 0),
            piece: pieces.next(),
            pieces,
            began: 0.0,
            expected_before: 0.0,
            units: 0.0,
        }
    }
}

impl Iterator for Arrivals<'_> {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.units += match self.kind {
            Kind::Poisson => self.random.sample::<f64, _>(Exp1),
            Kind::Constant => 1.0,
        };
        loop {
            let piece = self.piece?;
            let expected = piece.expected();
            let into = self.units - self.expected_before;
            if into <= expected {
                return Some(Duration::from_secs_f64(self.began + piece.seconds_until(into)));
            }
            self.piece = self.pieces.next();
            self.began += piece.lasts.as_secs_f64();
            self.expected_before += expected;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use scenarios::intensity::expected;

    fn pieces() -> impl Strategy<Value = Vec<Piece>> {
        let piece = (1..20_000_u64, 0.0..900.0_f64, 0.0..900.0_f64, any::<bool>());
        let piece = piece.prop_map(|(ms, from, to, is_constant)| Piece {
            lasts: Duration::from_millis(ms),
            from,
            to: if is_constant { from } else { to },
        });
        prop::collection::vec(piece, 1..6)
    }

    proptest! {
        #[test]
        fn arrivals_are_in_order_and_within_the_pieces(pieces in pieces(), seed: u64) {
            for kind in [Kind::Poisson, Kind::Constant] {
                let times: Vec<Duration> = Arrivals::new(kind, &pieces, seed).collect();
                let lasts: Duration = pieces.iter().map(|piece| piece.lasts).sum();
                prop_assert!(times.is_sorted());
                prop_assert!(times.iter().all(|at| *at <= lasts + Duration::from_nanos(9)));
                prop_assert!(times.iter().all(|at| !at.is_zero()));
                prop_assert_eq!(&times, &Arrivals::new(kind, &pieces, seed).collect::<Vec<_>>());
            }
        }

        /// Evenly spaced arrivals are the integral, rounded down, at every time.
        #[test]
        fn counts_are_what_the_integral_says(pieces in pieces(), share in 0.0..=1.0_f64) {
            let lasts: Duration = pieces.iter().map(|piece| piece.lasts).sum();
            let until = lasts.mul_f64(share);
            let wanted = expected(&pieces, Duration::ZERO, until);
            let arrivals = Arrivals::new(Kind::Constant, &pieces, 1);
            let count = arrivals.take_while(|at| *at <= until).count() as f64;
            prop_assert!((count - wanted.floor()).abs() <= 1.0, "{} {}", count, wanted);
            // Five standard deviations of a Poisson count.
            let arrivals = Arrivals::new(Kind::Poisson, &pieces, (share * 1e9) as u64);
            let count = arrivals.take_while(|at| *at <= until).count() as f64;
            let most = 5.0f64.mul_add(wanted.sqrt(), 8.0);
            prop_assert!((count - wanted).abs() <= most, "{} {}", count, wanted);
        }
    }
}
