//! Times: ranges and bounds of durations, clock offsets; and the bounds of what is measured.

use settings::duration;
use settings::value::TextForm;
use std::time::Duration;

/// From the shorter to the longer, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DurationRange(pub Duration, pub Duration);

impl TextForm for DurationRange {
    fn expected() -> String {
        "a duration or a range of them, such as \"2ms\" or \"1ms..5ms\"".into()
    }

    fn from_text(text: &str) -> Option<Self> {
        let (from, to) = text.split_once("..").unwrap_or((text, text));
        let (from, to) = (duration::parse(from)?, duration::parse(to)?);
        (from <= to).then_some(Self(from, to))
    }

    fn text(&self) -> String {
        if self.0 == self.1 {
            return duration::text(self.0);
        }
        format!("{}..{}", duration::text(self.0), duration::text(self.1))
    }

    fn pattern() -> Option<&'static str> {
        Some(r"^[0-9][0-9_.]*(us|ms|s|m|h)(\.\.[0-9][0-9_.]*(us|ms|s|m|h))?$")
    }
}

/// An upper bound: `< 250ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Below(pub Duration);

impl TextForm for Below {
    fn expected() -> String {
        "an upper bound such as \"< 250ms\"".into()
    }

    fn from_text(text: &str) -> Option<Self> {
        let bound = duration::parse(text.trim().strip_prefix('<')?)?;
        (!bound.is_zero()).then_some(Self(bound))
    }

    fn text(&self) -> String {
        format!("< {}", duration::text(self.0))
    }

    fn pattern() -> Option<&'static str> {
        Some(r"^<\s*[0-9][0-9_.]*(us|ms|s|m|h)$")
    }
}

/// An upper bound of a share, in percent: `< 1%`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BelowPercent(pub f64);

impl TextForm for BelowPercent {
    fn expected() -> String {
        "an upper bound such as \"< 1%\"".into()
    }

    fn from_text(text: &str) -> Option<Self> {
        let percent = text.trim().strip_prefix('<')?.trim().strip_suffix('%')?;
        let percent = duration::number_of(percent)?;
        (percent > 0.0 && percent <= 100.0).then_some(Self(percent))
    }

    fn text(&self) -> String {
        format!("< {}%", self.0)
    }

    fn pattern() -> Option<&'static str> {
        Some(r"^<\s*[0-9][0-9_.]*\s*%$")
    }
}

/// The highest rate per second.
pub const FASTEST_RATE: f64 = 10_000_000.0;

/// A lower bound of a rate: `> 900/s`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Above(pub f64);

impl TextForm for Above {
    fn expected() -> String {
        "a lower bound such as \"> 900/s\"".into()
    }

    fn from_text(text: &str) -> Option<Self> {
        let rate = duration::parse_rate(text.trim().strip_prefix('>')?)?;
        (rate > 0.0 && rate <= FASTEST_RATE).then_some(Self(rate))
    }

    fn text(&self) -> String {
        format!("> {}", duration::rate_text(self.0))
    }

    fn pattern() -> Option<&'static str> {
        Some(r"^>\s*[0-9][0-9_.]*\s*/\s*(s|sec|m|min|h|hour)$")
    }
}

/// How far a clock is off, in milliseconds: `2s`, `-500ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockOffset(pub i64);

impl TextForm for ClockOffset {
    fn expected() -> String {
        "how far the clock is ahead (or, with a minus, behind) in whole milliseconds, such as \"2s\" \
         or \"-500ms\""
            .into()
    }

    fn from_text(text: &str) -> Option<Self> {
        let (sign, size) = text.trim().strip_prefix('-').map_or((1, text), |size| (-1, size));
        let size = duration::parse(size)?;
        let whole = size.subsec_micros() % 1_000 == 0;
        whole.then_some(Self(sign * size.as_millis() as i64))
    }

    fn text(&self) -> String {
        let sign = if self.0 < 0 { "-" } else { "" };
        format!("{sign}{}", duration::text(Duration::from_millis(self.0.unsigned_abs())))
    }

    fn pattern() -> Option<&'static str> {
        Some(r"^-?[0-9][0-9_.]*(ms|s|m|h)$")
    }
}

/// How much too fast a clock goes, in millionths: `200ppm`, `-50ppm`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockDrift(pub i64);

/// A clock that runs backwards or at double speed is no drift any more.
const FASTEST_DRIFT_PPM: i64 = 500_000;

impl TextForm for ClockDrift {
    fn expected() -> String {
        format!("a drift in millionths up to {FASTEST_DRIFT_PPM}, such as \"200ppm\" or \"-50ppm\"")
    }

    fn from_text(text: &str) -> Option<Self> {
        let ppm = text.trim().strip_suffix("ppm")?.trim().replace('_', "").parse().ok()?;
        (-FASTEST_DRIFT_PPM..=FASTEST_DRIFT_PPM).contains(&ppm).then_some(Self(ppm))
    }

    fn text(&self) -> String {
        format!("{}ppm", self.0)
    }

    fn pattern() -> Option<&'static str> {
        Some(r"^-?[0-9][0-9_]*\s*ppm$")
    }
}
