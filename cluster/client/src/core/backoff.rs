//! When to connect again.

use super::Settings;
use protocol::CloseCode;
use protocol::backoff::{bound, full_jitter};
use protocol::design::ReconnectJitter;
use protocol::mix::SplitMix;
use std::time::Duration;

/// A session that was too much for one of the two sides and did not last this long counts as a failed
/// attempt: the next one comes later than the last.
const STRAINED_MS: u64 = 30_000;
/// As many failures such an end counts for, at least: by default, up to a second.
const STRAINED_FAILURES: u32 = 2;

/// The failures in a row that count after a session that was welcomed behind `before` of them, lasted so
/// long, and ended with a code.
pub fn failures(code: u16, lasted_ms: u64, before: u32) -> u32 {
    if code != CloseCode::SlowConsumer.code() && code != CloseCode::RateLimited.code() {
        return 0;
    }
    let in_a_row = if lasted_ms >= STRAINED_MS { 0 } else { before + 1 };
    in_a_row.max(STRAINED_FAILURES)
}

/// How long to wait before the connection attempt that follows `failures` failed ones.
pub fn delay_ms(settings: &Settings, failures: u32, random: &mut SplitMix) -> u64 {
    let (base, max) = (settings.backoff_ms_base, settings.backoff_ms_max);
    let bound = bound(Duration::from_millis(base), Duration::from_millis(max), failures);
    let delay = match settings.jitter {
        ReconnectJitter::On => full_jitter(bound, random.next_u64()),
        ReconnectJitter::Off => bound,
    };
    delay.as_millis() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_the_bound_and_use_all_of_it() {
        let settings = Settings::default();
        for failures in [0, 1, 3, 10, 1_000] {
            let bound = (settings.backoff_ms_base << failures.min(20)).min(settings.backoff_ms_max);
            let mut random = SplitMix::new(7);
            let delays: Vec<u64> =
                (0..1_000).map(|_| delay_ms(&settings, failures, &mut random)).collect();
            assert!(delays.iter().all(|&delay| delay <= bound));
            assert!(delays.iter().any(|&delay| delay < bound / 10), "the low end is used");
            assert!(delays.iter().any(|&delay| delay > bound - bound / 10), "the high end is used");
        }
    }

    #[test]
    fn without_jitter_everybody_comes_at_the_same_moment() {
        let settings = Settings { jitter: ReconnectJitter::Off, ..Settings::default() };
        let delays = [1, 2, 3].map(|seed| delay_ms(&settings, 2, &mut SplitMix::new(seed)));
        assert_eq!(delays, [1_000; 3]);
    }
}
