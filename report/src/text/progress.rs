//! One line while a run is under way.

use crate::number::{self, COMMA};
use std::fmt::Write as _;

/// A progress line, without a line end: simulated (in a real run: elapsed) seconds so far and in
/// all, events and violations so far, and the rate in simulated seconds per second of wall time.
pub fn progress(simulated_s: f64, total_s: f64, events: u64, violations: u64, rate: f64) -> String {
    let share = if total_s > 0.0 { (simulated_s / total_s).clamp(0.0, 1.0) } else { 0.0 };
    let mut line = format!(
        "{simulated_s:.1} of {total_s:.1} s  {:3.0} %  {}  {}",
        share * 100.0,
        number::counted(events, "events", COMMA),
        number::counted(violations, "violations", COMMA),
    );
    if rate.is_finite() && rate > 0.0 {
        let left_s = (total_s - simulated_s).max(0.0) / rate;
        let left = number::span((left_s * 1e6) as u64);
        let _ = write!(line, "  {rate:.1}x  {left} left");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::progress;

    #[test]
    fn a_line_says_how_far_and_how_long() {
        assert_eq!(
            progress(12.34, 28.0, 512_345, 1, 14.2),
            "12.3 of 28.0 s   44 %  512,345 events  1 violation  14.2x  1.1 s left"
        );
        assert_eq!(progress(0.0, 0.0, 0, 0, 0.0), "0.0 of 0.0 s    0 %  0 events  0 violations");
    }
}
