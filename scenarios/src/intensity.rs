//! How the rate of arrivals goes over time: straight pieces, with exact integrals and exact inverses.
//!
//! Every shape of a phase is a sequence of pieces, so that whoever draws arrivals, cuts a phase or adds
//! up what is expected does it in one way (k6's `ramping-arrival-rate` is such a sequence as well).

use crate::scenario::{LoadPhase, Rate};
use std::time::Duration;

/// The course of a day, hour by hour from its quietest one: half a cosine wave up, half a one down.
const DAY: [f64; 25] = [
    0.0, 0.0170, 0.0670, 0.1464, 0.25, 0.3706, 0.5, 0.6294, 0.75, 0.8536, 0.9330, 0.9830, 1.0,
    0.9830, 0.9330, 0.8536, 0.75, 0.6294, 0.5, 0.3706, 0.25, 0.1464, 0.0670, 0.0170, 0.0,
];
/// A spike: for so many tenths at rest, rising, at its peak, falling, and at rest again.
const SPIKE: [u32; 5] = [3, 1, 2, 1, 3];

/// A time during which the rate goes from one value to another, evenly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Piece {
    /// How long.
    pub lasts: Duration,
    /// Arrivals per second at its beginning.
    pub from: f64,
    /// Arrivals per second at its end.
    pub to: f64,
}

impl Piece {
    /// One rate all the time.
    pub const fn constant(lasts: Duration, rate: f64) -> Self {
        Self { lasts, from: rate, to: rate }
    }

    /// Arrivals that are expected in all of it.
    pub fn expected(&self) -> f64 {
        f64::midpoint(self.from, self.to) * self.lasts.as_secs_f64()
    }

    /// Seconds until so many arrivals are expected, of at most `expected` ones.
    pub fn seconds_until(&self, arrivals: f64) -> f64 {
        if self.is_constant() {
            return arrivals / self.from;
        }
        // The root of from * t + slope / 2 * t^2 = arrivals, in the form that loses no digits.
        let slope = (self.to - self.from) / self.lasts.as_secs_f64();
        let root = (2.0f64.mul_add(slope * arrivals, self.from * self.from)).max(0.0).sqrt();
        let seconds = if arrivals > 0.0 { 2.0 * arrivals / (self.from + root) } else { 0.0 };
        seconds.min(self.lasts.as_secs_f64())
    }

    /// Its part between two times, counted from its beginning.
    pub fn part(&self, from: Duration, to: Duration) -> Self {
        Self { lasts: to.saturating_sub(from), from: self.rate_at(from), to: self.rate_at(to) }
    }

    /// The same, so many times as fast.
    pub fn times(self, factor: f64) -> Self {
        Self { from: self.from * factor, to: self.to * factor, ..self }
    }

    /// Whether the rate stays as it is.
    pub fn is_constant(&self) -> bool {
        self.from.to_bits() == self.to.to_bits()
    }

    fn rate_at(&self, at: Duration) -> f64 {
        if self.is_constant() || self.lasts.is_zero() {
            return self.from;
        }
        let share = (at.as_secs_f64() / self.lasts.as_secs_f64()).min(1.0);
        self.from + (self.to - self.from) * share
    }
}

impl LoadPhase {
    /// Its rate, piece by piece.
    pub fn pieces(&self) -> Vec<Piece> {
        match self.rate {
            Rate::Constant(rate) => vec![Piece::constant(self.lasts, rate)],
            Rate::Ramp(from, to) => vec![Piece { lasts: self.lasts, from, to }],
            Rate::Staircase(from, to, steps) => {
                let rise = (to - from) / f64::from(steps.max(2) - 1);
                let rate = |step: u32| f64::from(step).mul_add(rise, from);
                let levels: Vec<_> = (0..steps).map(|step| (1, rate(step), rate(step))).collect();
                self.in_parts(&levels)
            }
            Rate::Spike(rest, peak) => {
                let ends = [(rest, rest), (rest, peak), (peak, peak), (peak, rest), (rest, rest)];
                let parts = SPIKE.iter().zip(ends).map(|(tenths, (from, to))| (*tenths, from, to));
                self.in_parts(&parts.collect::<Vec<_>>())
            }
            Rate::Diurnal(low, high) => {
                let rate = |hour: f64| (high - low).mul_add(hour, low);
                let hours = DAY.iter().zip(&DAY[1..]);
                self.in_parts(&hours.map(|(a, b)| (1, rate(*a), rate(*b))).collect::<Vec<_>>())
            }
        }
    }

    /// Pieces of the given lengths, in proportion, which take all of the phase.
    fn in_parts(&self, parts: &[(u32, f64, f64)]) -> Vec<Piece> {
        let all: u32 = parts.iter().map(|(length, ..)| length).sum();
        let mut before = 0;
        let border = |before: u32| self.lasts * before / all;
        let piece = |&(length, from, to): &(u32, f64, f64)| {
            let began = border(before);
            before += length;
            Piece { lasts: border(before).saturating_sub(began), from, to }
        };
        parts.iter().map(piece).collect()
    }
}

/// Arrivals that pieces, one after another, bring between two times.
pub fn expected(pieces: &[Piece], from: Duration, to: Duration) -> f64 {
    let mut began = Duration::ZERO;
    let mut sum = 0.0;
    for piece in pieces {
        let ends = began + piece.lasts;
        let (first, last) = (began.max(from), ends.min(to));
        if first < last {
            sum += piece.part(first.saturating_sub(began), last.saturating_sub(began)).expected();
        }
        began = ends;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rate() -> impl Strategy<Value = Rate> {
        let two = (0.0..1e4_f64, 0.0..1e4_f64);
        (0..5, two, 2..9_u32).prop_map(|(kind, (a, b), steps)| match kind {
            0 => Rate::Constant(a + 0.1),
            1 => Rate::Ramp(a, b),
            2 => Rate::Staircase(a, b, steps),
            3 => Rate::Spike(a, b),
            _ => Rate::Diurnal(a, b),
        })
    }

    fn phase() -> impl Strategy<Value = LoadPhase> {
        (rate(), 1..600_000_u64)
            .prop_map(|(rate, ms)| LoadPhase { lasts: Duration::from_millis(ms), rate })
    }

    fn levels(rate: Rate, lasts: u64) -> Vec<(u64, f64, f64)> {
        let phase = LoadPhase { lasts: Duration::from_secs(lasts), rate };
        phase.pieces().iter().map(|it| (it.lasts.as_secs(), it.from, it.to)).collect()
    }

    #[test]
    fn shapes_are_what_they_are_called() {
        assert_eq!(levels(Rate::Constant(7.0), 9), [(9, 7.0, 7.0)]);
        assert_eq!(levels(Rate::Ramp(0.0, 9.0), 9), [(9, 0.0, 9.0)]);
        let steps = [(3, 10.0, 10.0), (3, 20.0, 20.0), (3, 30.0, 30.0)];
        assert_eq!(levels(Rate::Staircase(10.0, 30.0, 3), 9), steps);
        let spike = [(3, 1.0, 1.0), (1, 1.0, 9.0), (2, 9.0, 9.0), (1, 9.0, 1.0), (3, 1.0, 1.0)];
        assert_eq!(levels(Rate::Spike(1.0, 9.0), 10), spike);
        let day = levels(Rate::Diurnal(100.0, 300.0), 24);
        assert_eq!((day[0].1, day[6].1, day[12].1, day[23].2), (100.0, 200.0, 300.0, 100.0));
        let sum = expected(
            &LoadPhase { lasts: Duration::from_secs(24), rate: Rate::Diurnal(100.0, 300.0) }
                .pieces(),
            Duration::ZERO,
            Duration::from_secs(24),
        );
        assert!((sum - 4_800.0).abs() < 1.0, "the mean of a day is its middle: {sum}");
    }

    proptest! {
        #[test]
        fn pieces_take_all_of_their_phase(phase in phase()) {
            let pieces = phase.pieces();
            prop_assert_eq!(pieces.iter().map(|piece| piece.lasts).sum::<Duration>(), phase.lasts);
            prop_assert!(pieces.iter().all(|piece| piece.from >= 0.0 && piece.to >= 0.0));
        }

        #[test]
        fn the_inverse_of_the_integral_is_its_inverse(phase in phase(), share in 0.0..=1.0_f64) {
            for piece in phase.pieces() {
                let wanted = piece.expected() * share;
                let seconds = piece.seconds_until(wanted);
                prop_assert!((0.0..=piece.lasts.as_secs_f64() * (1.0 + 1e-12)).contains(&seconds));
                let got = piece.part(Duration::ZERO, Duration::from_secs_f64(seconds)).expected();
                // A time is kept in nanoseconds.
                let most = 1e-9f64.mul_add(piece.from.max(piece.to), wanted * 1e-6) + 1e-6;
                prop_assert!((got - wanted).abs() <= most, "{got} {wanted} {piece:?}");
            }
        }

        #[test]
        fn the_parts_make_the_whole(phase in phase(), cut in 0.0..=1.0_f64) {
            let pieces = phase.pieces();
            let (lasts, at) = (phase.lasts, phase.lasts.mul_f64(cut));
            let whole = expected(&pieces, Duration::ZERO, lasts);
            let parts = expected(&pieces, Duration::ZERO, at) + expected(&pieces, at, lasts);
            prop_assert!((whole - parts).abs() <= whole.mul_add(1e-9, 1e-6), "{whole} {parts}");
            let sum: f64 = pieces.iter().map(Piece::expected).sum();
            prop_assert!((whole - sum).abs() <= whole.mul_add(1e-9, 1e-6), "{whole} {sum}");
        }
    }
}
