//! The line in front of a narrow link: what two hosts say to each other in one direction, in the order in which
//! they say it.
//!
//! It is one line for all of their streams, as in front of a modem: so a heartbeat or the first words of a new
//! connection stand behind a long answer on another one ("bufferbloat", Gettys and Nichols, CACM 55(1), 2012).
//! How long it may get is not decided here: a stream that has too much under way lets nobody write to it.

use std::time::Duration;

/// Bytes that pass together: a packet of Ethernet.
const PACKET: usize = 1_500;

/// One direction's line.
#[derive(Clone, Copy, Debug, Default)]
pub struct Line {
    /// When the last one in it has passed.
    empty_at: Duration,
}

/// Bytes that pass together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// How many, at least one.
    pub bytes: usize,
    /// When they have.
    pub passes_at: Duration,
}

impl Line {
    /// Bytes join the line at its end: when which of them have passed, and how many stood behind others.
    pub fn join(&mut self, bytes: usize, per_second: u64, now: Duration) -> (Vec<Part>, u64) {
        let (mut parts, mut rest, mut waited) = (Vec::new(), bytes, 0);
        while rest > 0 {
            let bytes = rest.min(PACKET);
            rest -= bytes;
            if self.empty_at > now {
                waited += bytes as u64;
            }
            let micros = (bytes as u64 * 1_000_000).div_ceil(per_second.max(1));
            self.empty_at = self.empty_at.max(now) + Duration::from_micros(micros);
            parts.push(Part { bytes, passes_at: self.empty_at });
        }
        (parts, waited)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_packet_at_a_time_passes_and_an_empty_line_is_no_wait() {
        let mut line = Line::default();
        let ms = Duration::from_millis;
        let part = |bytes, at| Part { bytes, passes_at: ms(at) };
        let (parts, waited) = line.join(3_500, 1_000, ms(0));
        assert_eq!(parts, [part(1_500, 1_500), part(1_500, 3_000), part(500, 3_500)]);
        assert_eq!(waited, 2_000, "all but the first");
        assert_eq!(line.join(100, 1_000, ms(2_000)), (vec![part(100, 3_600)], 100));
        assert_eq!(line.join(100, 1_000, ms(9_000)), (vec![part(100, 9_100)], 0));
    }

    proptest! {
        #[test]
        fn no_more_passes_than_the_link_carries_and_nothing_is_lost(
            writes in prop::collection::vec((1..20_000_usize, 0..500_u64), 1..40),
            per_second in 1_024..100_000_u64,
        ) {
            let (mut line, mut now, mut passed) = (Line::default(), Duration::ZERO, 0);
            let mut last = Duration::ZERO;
            for (bytes, gap_ms) in writes {
                now += Duration::from_millis(gap_ms);
                let (parts, waited) = line.join(bytes, per_second, now);
                prop_assert_eq!(parts.iter().map(|part| part.bytes).sum::<usize>(), bytes);
                prop_assert!(waited <= bytes as u64);
                for Part { bytes, passes_at } in parts {
                    prop_assert!(passes_at > last && passes_at > now, "in order");
                    (last, passed) = (passes_at, passed + bytes as u64);
                    let carried = passes_at.as_secs_f64() * per_second as f64;
                    prop_assert!(passed as f64 <= carried + 1.0, "{passed} of {carried}");
                }
            }
        }
    }
}
