//! How much a link carries: `64KiB/s`.

use settings::duration::number_of;
use settings::value::TextForm;

/// Bytes per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bandwidth(pub u64);

/// Units from the largest to the smallest, in bytes.
const UNITS: [(&str, u64); 4] =
    [("GiB/s", 1_073_741_824), ("MiB/s", 1_048_576), ("KiB/s", 1_024), ("B/s", 1)];
/// Less carries hardly the heartbeats of a few links.
const LEAST: u64 = 1_024;
/// More is never reached: this is what loopback carries.
const MOST: u64 = 10 * 1_073_741_824;

impl TextForm for Bandwidth {
    fn expected() -> String {
        "a bandwidth from 1KiB/s to 10GiB/s, such as \"64KiB/s\" or \"2MiB/s\"".into()
    }

    fn from_text(text: &str) -> Option<Self> {
        let text = text.trim();
        let split = text.find(|c: char| c.is_ascii_alphabetic())?;
        let (number, unit) = text.split_at(split);
        let (_, bytes) = UNITS.into_iter().find(|(word, _)| *word == unit)?;
        let bytes = (number_of(number)? * bytes as f64).round() as u64;
        (LEAST..=MOST).contains(&bytes).then_some(Self(bytes))
    }

    fn text(&self) -> String {
        let exact = UNITS.into_iter().find(|(_, bytes)| self.0.is_multiple_of(*bytes));
        let (word, bytes) = exact.expect("every number is a multiple of one byte");
        format!("{}{word}", self.0 / bytes)
    }

    fn pattern() -> Option<&'static str> {
        Some(r"^[0-9][0-9_]*(\.[0-9]+)?\s*(B|KiB|MiB|GiB)/s$")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bandwidths_are_a_number_and_a_unit_of_bytes_per_second() {
        for (text, bytes, written) in [
            ("64KiB/s", 65_536, "64KiB/s"),
            ("1.5 MiB/s", 1_572_864, "1536KiB/s"),
            ("20_000B/s", 20_000, "20000B/s"),
        ] {
            let read = Bandwidth::from_text(text);
            assert_eq!(read, Some(Bandwidth(bytes)), "{text}");
            assert_eq!(Bandwidth(bytes).text(), written);
        }
        for text in ["64KiB", "64kB/s", "64", "0B/s", "512B/s", "11GiB/s", "-1KiB/s", "KiB/s"] {
            assert_eq!(Bandwidth::from_text(text), None, "{text}");
        }
    }
}
