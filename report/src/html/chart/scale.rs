//! From values to coordinates, and where the round ticks are.

use crate::number;

/// Maps values to coordinates, evenly or by their logarithm.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    from: f64,
    to: f64,
    start: f64,
    end: f64,
    logarithmic: bool,
}

/// A tick: where, and its label.
pub(crate) type Tick = (f64, String);

impl Scale {
    /// Values between `from` and `to` at coordinates between `start` and `end`.
    pub(crate) fn linear((from, to): (f64, f64), (start, end): (f64, f64)) -> Self {
        Self { from, to, start, end, logarithmic: false }
    }

    /// The same by logarithms; both values must be above zero.
    pub(crate) fn logarithmic((from, to): (f64, f64), (start, end): (f64, f64)) -> Self {
        assert!(from > 0.0 && to > from, "no logarithmic scale from {from} to {to}");
        Self { from, to, start, end, logarithmic: true }
    }

    /// The coordinate of a value; values outside are put on the nearest end.
    pub(crate) fn at(&self, value: f64) -> f64 {
        let value = value.clamp(self.from, self.to);
        let share = if self.logarithmic {
            (value / self.from).ln() / (self.to / self.from).ln()
        } else {
            (value - self.from) / (self.to - self.from)
        };
        self.start + share * (self.end - self.start)
    }

    /// The highest value.
    pub(crate) fn to(&self) -> f64 {
        self.to
    }
}

/// The smallest of 1, 2, 5 times a power of ten that is not below `value`.
pub(crate) fn round_up(value: f64) -> f64 {
    let decade = 10_f64.powf(value.log10().floor());
    // The factor keeps 5.000000001 from becoming 10.
    [1.0, 2.0, 5.0, 10.0]
        .map(|times| times * decade)
        .into_iter()
        .find(|step| *step >= value * 0.999_999)
        .unwrap_or(10.0 * decade)
}

/// The largest of the same that is not above `value`.
pub(crate) fn round_down(value: f64) -> f64 {
    let decade = 10_f64.powf(value.log10().floor());
    [5.0, 2.0, 1.0]
        .map(|times| times * decade)
        .into_iter()
        .find(|step| *step <= value * 1.000_001)
        .unwrap_or(decade)
}

/// An axis for counts from zero to at least `highest`: its end and its ticks.
pub(crate) fn count_axis(highest: f64, ticks: u32) -> (f64, Vec<Tick>) {
    let step = round_up(highest.max(1.0) / f64::from(ticks)).max(1.0);
    let steps = (highest.max(1.0) / step).ceil().max(1.0);
    let ticks =
        (0..=steps as u64).map(|n| (n as f64 * step, number::count((n as f64 * step) as u64)));
    (steps * step, ticks.collect())
}

/// An axis for latencies in microseconds that holds both values: its ends and its ticks.
pub(crate) fn latency_axis(lowest: f64, highest: f64) -> (f64, f64, Vec<Tick>) {
    let from = round_down(lowest.max(1.0));
    let to = round_up(highest.max(from * 10.0));
    let every = if (to / from).log10() > 3.2 { &[1.0][..] } else { &[1.0, 2.0, 5.0][..] };
    let mut ticks = Vec::new();
    let mut decade = 10_f64.powf(from.log10().floor());
    while decade <= to * 1.000_001 {
        for times in every {
            let value = (decade * times).round();
            if value >= from * 0.999_999 && value <= to * 1.000_001 {
                ticks.push((value, tick_latency(value as u64)));
            }
        }
        decade *= 10.0;
    }
    (from, to, ticks)
}

/// A round latency without decimals that say nothing: "5 ms".
fn tick_latency(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..1_000_000 => format!("{} ms", us / 1_000),
        _ => format!("{} s", number::count(us / 1_000_000)),
    }
}

/// Steps of a time axis, in seconds, at which people read clocks.
const TIME_STEPS: [f64; 20] = [
    0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0,
    3_600.0, 7_200.0, 14_400.0, 21_600.0, 43_200.0,
];

/// Ticks of a time axis from zero to `to` seconds.
pub(crate) fn time_ticks(to: f64, most: u32) -> Vec<Tick> {
    let step = TIME_STEPS.into_iter().find(|step| to / step <= f64::from(most));
    let step = step.unwrap_or_else(|| (to / f64::from(most) / 86_400.0).ceil() * 86_400.0);
    (0..=(to / step + 1e-6) as u64)
        .map(|n| (n as f64 * step, time_label(n as f64 * step, step)))
        .collect()
}

fn time_label(seconds: f64, step: f64) -> String {
    let whole = seconds.round() as u64;
    match step {
        s if s < 1.0 => format!("{seconds:.1} s"),
        s if s < 60.0 => format!("{whole} s"),
        s if s < 3_600.0 => format!("{} min", whole / 60),
        _ => format!("{} h", whole / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::{Scale, count_axis, latency_axis, round_down, round_up, time_ticks};
    use proptest::prelude::*;

    fn labels(ticks: &[(f64, String)]) -> Vec<&str> {
        ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn ticks_are_round() {
        let (to, ticks) = count_axis(1_730.0, 4);
        assert!((to - 2_000.0).abs() < 1e-9);
        assert_eq!(labels(&ticks), ["0", "500", "1\u{202f}000", "1\u{202f}500", "2\u{202f}000"]);
        assert_eq!(labels(&count_axis(0.0, 4).1), ["0", "1"]);
        let (from, to, ticks) = latency_axis(1_300.0, 18_000.0);
        assert!((from - 1_000.0).abs() < 1e-6 && (to - 20_000.0).abs() < 1e-6);
        assert_eq!(labels(&ticks), ["1 ms", "2 ms", "5 ms", "10 ms", "20 ms"]);
        assert_eq!(labels(&time_ticks(28.0, 10)), ["0 s", "5 s", "10 s", "15 s", "20 s", "25 s"]);
        assert_eq!(labels(&time_ticks(0.3, 10)), ["0.0 s", "0.1 s", "0.2 s", "0.3 s"]);
        assert_eq!(labels(&time_ticks(900.0, 10)).last(), Some(&"14 min"));
    }

    proptest! {
        #[test]
        fn rounding_encloses_the_value(value in 1.0_f64..1e9) {
            prop_assert!(round_up(value) >= value * 0.999_99);
            prop_assert!(round_down(value) <= value * 1.000_01);
            prop_assert!(round_up(value) / round_down(value) <= 2.500_01);
        }

        #[test]
        fn an_axis_holds_its_values(low in 0.0_f64..1e8, more in 0.0_f64..1e8) {
            let (from, to, ticks) = latency_axis(low, low + more);
            prop_assert!(from <= low.max(1.0) * 1.000_01 && to >= (low + more) * 0.999_99);
            prop_assert!(ticks.len() >= 2 && ticks.len() <= 14, "{} ticks", ticks.len());
            let (to, ticks) = count_axis(more, 4);
            prop_assert!(to >= more && ticks.len() >= 2 && ticks.len() <= 6);
            prop_assert!(time_ticks(more, 10).len() <= 11);
        }

        #[test]
        fn coordinates_stay_inside(value in -1e9_f64..1e9) {
            let scale = Scale::logarithmic((1.0, 1e6), (100.0, 0.0));
            prop_assert!((0.0..=100.0).contains(&scale.at(value)));
        }
    }
}
