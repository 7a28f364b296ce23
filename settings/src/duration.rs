//! Durations and rates as people write them: `250ms`, `6s`, `10m`, `500/s`.
//!
//! Only text to value and back; where they may stand is said by the sections.

use crate::value::TextForm;
use std::time::Duration;

/// Units from the longest to the shortest, in microseconds.
const UNITS: [(&str, u64); 5] =
    [("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000), ("ms", 1_000), ("us", 1)];

/// The longest duration that a key may name: a day.
pub const LONGEST: Duration = Duration::from_hours(24);

/// Reads a number with a unit, to the microsecond: `1.5s`, `10_000ms`. `None` if it is none, or is
/// longer than [`LONGEST`].
pub fn parse(text: &str) -> Option<Duration> {
    let text = text.trim();
    let split = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(split);
    let (_, micros_per_unit) = UNITS.into_iter().find(|(word, _)| *word == unit)?;
    let micros = number_of(number)? * micros_per_unit as f64;
    let duration = Duration::from_micros(micros.round() as u64);
    (duration <= LONGEST).then_some(duration)
}

/// Writes a duration in the longest unit that shows it exactly (to the microsecond).
pub fn text(duration: Duration) -> String {
    let micros = duration.as_micros() as u64;
    if micros == 0 {
        return "0s".into();
    }
    let (word, per_unit) = UNITS
        .into_iter()
        .find(|(_, per_unit)| micros.is_multiple_of(*per_unit))
        .expect("every number is a multiple of one microsecond");
    format!("{}{word}", micros / per_unit)
}

/// Reads a rate, per second: `500/s`, `30/min`, `0.5/s`.
pub fn parse_rate(text: &str) -> Option<f64> {
    let (number, unit) = text.split_once('/')?;
    let seconds = match unit.trim() {
        "s" | "sec" => 1.0,
        "m" | "min" => 60.0,
        "h" | "hour" => 3_600.0,
        _ => return None,
    };
    Some(number_of(number)? / seconds)
}

/// Writes a rate so that it is read as the same number.
pub fn rate_text(per_second: f64) -> String {
    format!("{per_second}/s")
}

/// A number that is not negative, with underscores between its digits.
pub fn number_of(text: &str) -> Option<f64> {
    let text = text.trim();
    let digits_only = text.chars().all(|c| c.is_ascii_digit() || c == '_' || c == '.');
    let framed = text.starts_with('_') || text.ends_with('_');
    if !digits_only || framed {
        return None;
    }
    text.replace('_', "").parse().ok()
}

impl TextForm for Duration {
    fn expected() -> String {
        "a duration up to a day, such as \"250ms\", \"6s\" or \"10m\"".into()
    }

    fn from_text(text: &str) -> Option<Self> {
        parse(text)
    }

    fn text(&self) -> String {
        text(*self)
    }

    fn pattern() -> Option<&'static str> {
        Some(r"^[0-9][0-9_]*(\.[0-9]+)?\s*(us|ms|s|m|h)$")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_a_number_and_a_unit() {
        for (text, micros) in [
            ("250ms", 250_000),
            ("6s", 6_000_000),
            ("1.5s", 1_500_000),
            ("10m", 600_000_000),
            ("1h", 3_600_000_000),
            ("200us", 200),
            ("10_000ms", 10_000_000),
            ("0s", 0),
        ] {
            assert_eq!(parse(text), Some(Duration::from_micros(micros)), "{text}");
        }
        for text in
            ["", "6", "s", "-1s", "6 parsecs", "6S", "1e3s", "_1s", "1__s_", "25h", "1.2.3s"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn rates_are_per_second() {
        assert_eq!(parse_rate("500/s"), Some(500.0));
        assert_eq!(parse_rate("30/min"), Some(0.5));
        assert_eq!(parse_rate("1_000/s"), Some(1_000.0));
        assert_eq!(parse_rate("3600/h"), Some(1.0));
        assert_eq!(parse_rate("500"), None);
        assert_eq!(parse_rate("500/fortnight"), None);
    }

    proptest! {
        #[test]
        fn a_written_duration_is_read_as_the_same(micros in 0..86_400_000_000_u64) {
            let duration = Duration::from_micros(micros);
            prop_assert_eq!(parse(&text(duration)), Some(duration));
        }

        #[test]
        fn a_written_rate_is_read_as_the_same(rate in 0.001..1e6_f64) {
            prop_assert_eq!(parse_rate(&rate_text(rate)), Some(rate));
        }

        #[test]
        fn any_text_is_read_without_a_panic(text in ".*") {
            let _ = (parse(&text), parse_rate(&text));
        }
    }
}
