//! When to try again: exponential backoff with full jitter.
//!
//! Full jitter (a uniform draw from zero to the exponential bound) spreads a crowd best of the known
//! variants: Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.

use std::time::Duration;

/// Counts failures in a row, and says how long to wait after each.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    base: Duration,
    max: Duration,
    failures: u32,
}

impl Backoff {
    /// The bound of the first wait is `base`; it doubles with every failure, up to `max`.
    pub const fn new(base: Duration, max: Duration) -> Self {
        Self { base, max, failures: 0 }
    }

    /// It went well.
    pub const fn reset(&mut self) {
        self.failures = 0;
    }

    /// How long to wait after one more failure. `random` is 64 uniform bits.
    pub fn next(&mut self, random: u64) -> Duration {
        let delay = full_jitter(bound(self.base, self.max, self.failures), random);
        self.failures = self.failures.saturating_add(1);
        delay
    }
}

/// The longest wait after so many failures before this one.
pub fn bound(base: Duration, max: Duration, failures: u32) -> Duration {
    base.saturating_mul(1_u32.checked_shl(failures).unwrap_or(u32::MAX)).min(max)
}

/// From zero to `bound`, both included. `random` is 64 uniform bits.
pub fn full_jitter(bound: Duration, random: u64) -> Duration {
    let nanos = (u128::from(random) * (bound.as_nanos() + 1)) >> 64;
    Duration::from_nanos(nanos as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: Duration = Duration::from_millis(100);
    const MAX: Duration = Duration::from_millis(300);

    #[test]
    fn waits_grow_to_the_bound_and_use_all_of_it() {
        for (failures, longest) in [(0, 100), (1, 200), (2, 300), (40, 300)] {
            let bound = bound(BASE, MAX, failures);
            assert_eq!(bound, Duration::from_millis(longest));
            assert_eq!(full_jitter(bound, u64::MAX), bound);
            assert_eq!(full_jitter(bound, 0), Duration::ZERO);
        }
    }

    #[test]
    fn a_success_begins_anew() {
        let mut backoff = Backoff::new(BASE, MAX);
        let waits = [(); 4].map(|()| backoff.next(u64::MAX).as_millis());
        assert_eq!(waits, [100, 200, 300, 300]);
        backoff.reset();
        assert_eq!(backoff.next(u64::MAX), BASE);
    }
}
