//! How much may be asked per second: token buckets, and what a session may say.

use protocol::limits::GatewayLimits;

/// All frames of a session, of any kind, may be this many times as many as a user's sends.
pub const FRAMES_PER_SEND: u32 = 20;
/// Renewals of a session's token per second: each costs the check of a signature.
const RENEWALS_PER_SECOND: u32 = 1;
/// As many of them may come at once.
const RENEWALS_BURST: u32 = 5;

/// A bucket that fills with time. Counted in thousandths, so that slow rates stay exact.
#[derive(Clone, Copy, Debug)]
pub struct TokenBucket {
    missing_milli: u64,
    at_ms: u64,
}

impl TokenBucket {
    /// A full one.
    pub const fn full(now_ms: u64) -> Self {
        Self { missing_milli: 0, at_ms: now_ms }
    }

    /// Takes one, or says in how many milliseconds there will be one.
    #[inline]
    pub fn take(&mut self, now_ms: u64, per_second: u32, burst: u32) -> Result<(), u32> {
        self.refill(now_ms, per_second);
        let missing = self.missing_milli + 1_000;
        let capacity = u64::from(burst.max(1)) * 1_000;
        if missing <= capacity {
            self.missing_milli = missing;
            return Ok(());
        }
        Err((missing - capacity).div_ceil(u64::from(per_second.max(1))) as u32)
    }

    /// In how many milliseconds it is full again.
    pub fn full_in_ms(&mut self, now_ms: u64, per_second: u32) -> u64 {
        self.refill(now_ms, per_second);
        self.missing_milli.div_ceil(u64::from(per_second.max(1)))
    }

    fn refill(&mut self, now_ms: u64, per_second: u32) {
        let passed = now_ms.saturating_sub(self.at_ms);
        let refilled = passed.saturating_mul(u64::from(per_second.max(1)));
        self.missing_milli = self.missing_milli.saturating_sub(refilled);
        self.at_ms = self.at_ms.max(now_ms);
    }
}

/// What a session may still say.
#[derive(Clone, Copy, Debug)]
pub struct Quota {
    frames: TokenBucket,
    renewals: TokenBucket,
    /// Refused frames in a row.
    strikes: u32,
}

impl Quota {
    /// Nothing said, nothing refused.
    pub const fn full(now_ms: u64) -> Self {
        let full = TokenBucket::full(now_ms);
        Self { frames: full, renewals: full, strikes: 0 }
    }

    /// Counts a frame; if it is one too many, says in how many milliseconds it would not be.
    pub fn take(&mut self, now_ms: u64, limits: &GatewayLimits) -> Result<(), u32> {
        let per_second = limits.rate_per_second.saturating_mul(FRAMES_PER_SEND);
        let burst = limits.rate_burst.saturating_mul(FRAMES_PER_SEND);
        self.frames.take(now_ms, per_second, burst)
    }

    /// Counts a renewal of the token; whether it is not one too many.
    pub fn renew(&mut self, now_ms: u64) -> bool {
        self.renewals.take(now_ms, RENEWALS_PER_SECOND, RENEWALS_BURST).is_ok()
    }

    /// A frame was refused because there are too many; whether the session may go on.
    pub const fn strike(&mut self, limits: &GatewayLimits) -> bool {
        self.strikes += 1;
        self.strikes < limits.rate_strikes
    }

    /// A send was taken: what was refused before it is forgiven.
    pub const fn forgive(&mut self) {
        self.strikes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate_rules() {
        let mut bucket = TokenBucket::full(0);
        for _ in 0..3 {
            assert_eq!(bucket.take(0, 2, 3), Ok(()));
        }
        assert_eq!(bucket.take(0, 2, 3), Err(500));
        assert_eq!(bucket.take(499, 2, 3), Err(1));
        assert_eq!(bucket.take(500, 2, 3), Ok(()));
        assert_eq!(bucket.full_in_ms(500, 2), 1_500);
        assert_eq!(bucket.full_in_ms(2_000, 2), 0);
    }

    #[test]
    fn refusals_in_a_row_end_a_session_and_others_do_not() {
        let limits = GatewayLimits { rate_strikes: 3, ..GatewayLimits::default() };
        let mut quota = Quota::full(0);
        assert!(quota.strike(&limits) && quota.strike(&limits));
        quota.forgive();
        assert!(quota.strike(&limits) && quota.strike(&limits));
        assert!(!quota.strike(&limits));
    }
}
