//! How numbers and times are written, the same way in every form of a report.

/// Between groups of three digits on a page: a narrow space that does not break.
pub(crate) const NARROW: char = '\u{202f}';
/// Between groups of three digits in a terminal, whose fonts often lack the narrow space.
pub(crate) const COMMA: char = ',';

/// 1234567 as "1 234 567".
pub(crate) fn grouped(number: u64, separator: char) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3 * separator.len_utf8());
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(separator);
        }
        out.push(digit);
    }
    out
}

/// For a page.
pub(crate) fn count(number: u64) -> String {
    grouped(number, NARROW)
}

/// A number and its unit: "1 message", "2 messages" for the unit "messages".
/// A moment for people: `2026-11-29 09:30 UTC`.
pub(crate) fn date(since_1970_ms: u64) -> String {
    let seconds = i64::try_from(since_1970_ms / 1_000).unwrap_or(i64::MAX);
    let Ok(at) = time::OffsetDateTime::from_unix_timestamp(seconds) else {
        return "–".to_owned();
    };
    let (year, month, day) = at.to_calendar_date();
    let (hour, minute, _) = at.to_hms();
    format!("{year}-{:02}-{day:02} {hour:02}:{minute:02} UTC", u8::from(month))
}

pub(crate) fn counted(number: u64, unit: &str, separator: char) -> String {
    let number_told = grouped(number, separator);
    match (number, unit.strip_suffix("ies"), unit.strip_suffix('s')) {
        (1, Some(entr), _) => format!("{number_told} {entr}y"),
        (1, None, Some(one)) => format!("{number_told} {one}"),
        _ => format!("{number_told} {unit}"),
    }
}

/// Three significant digits: 0.842, 1.24, 12.4, 842, 1 240.
pub(crate) fn three_digits(value: f64) -> String {
    let decimals = match value.abs() {
        v if v == 0.0 || v >= 99.95 => 0,
        v if v >= 9.995 => 1,
        _ => 2,
    };
    if decimals == 0 { count(value.round() as u64) } else { format!("{value:.decimals$}") }
}

/// A latency: "842 µs", "1.24 ms", "12.4 s"; from two minutes on as `span`.
pub(crate) fn latency(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        // What would round up to 1000 ms is written as seconds.
        1_000..999_500 => format!("{} ms", three_digits(us as f64 / 1e3)),
        999_500..120_000_000 => format!("{} s", three_digits(us as f64 / 1e6)),
        _ => span(us),
    }
}

/// A latency, or a dash where there is none.
pub(crate) fn latency_or_dash(us: Option<u64>) -> String {
    us.map_or_else(|| "–".to_owned(), latency)
}

/// An amount of memory or disk: "842 B", "12.4 KiB", "1.24 GiB".
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let (mut value, mut unit) = (count as f64 / 1024.0, 0);
    // From 1000 on the next unit is shorter.
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{} {}", three_digits(value), UNITS[unit])
}

/// A length of time that people wait: "12.3 s", "2 min 05 s", "1 h 02 min".
pub(crate) fn span(us: u64) -> String {
    let seconds = (us + 500_000) / 1_000_000;
    match seconds {
        0..120 => format!("{:.1} s", us as f64 / 1e6),
        120..7_200 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3_600, seconds / 60 % 60),
    }
}

/// A moment of a run, to the millisecond: "12.345 s".
pub(crate) fn moment(us: u64) -> String {
    format!("{}.{:03} s", us / 1_000_000, us / 1_000 % 1_000)
}

/// A duration as microseconds, as far as they fit.
pub(crate) fn micros(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{COMMA, counted, grouped, latency, moment, span};

    #[test]
    fn digits_are_grouped_from_the_right() {
        for (number, want) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number, COMMA), want);
        }
        assert_eq!(counted(1, "accepted messages", COMMA), "1 accepted message");
        assert_eq!(counted(1, "shown entries", COMMA), "1 shown entry");
        assert_eq!(counted(0, "accepted messages", COMMA), "0 accepted messages");
    }

    #[test]
    fn latencies_have_three_digits() {
        for (us, want) in [
            (0, "0 µs"),
            (999, "999 µs"),
            (1_000, "1.00 ms"),
            (12_345, "12.3 ms"),
            (99_960, "100 ms"),
            (999_499, "999 ms"),
            (999_500, "1.00 s"),
            (61_250_000, "61.2 s"),
            (125_000_000, "2 min 05 s"),
        ] {
            assert_eq!(latency(us), want, "{us}");
        }
    }

    #[test]
    fn spans_change_their_units() {
        for (us, want) in [
            (0, "0.0 s"),
            (28_040_000, "28.0 s"),
            (119_600_000, "2 min 00 s"),
            (3_725_000_000, "62 min 05 s"),
            (28_800_000_000, "8 h 00 min"),
        ] {
            assert_eq!(span(us), want, "{us}");
        }
        assert_eq!(moment(12_345_678), "12.345 s");
    }
}
