//! What a session may say.

use protocol::limits::GatewayLimits;
use protocol::throttle::TokenBucket;

/// All frames of a session, of any kind, may be this many times as many as a user's sends.
pub const FRAMES_PER_SEND: u32 = 20;
/// Renewals of a session's token per second: each costs the check of a signature.
const RENEWALS_PER_SECOND: u32 = 1;
/// As many of them may come at once.
const RENEWALS_BURST: u32 = 5;

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
    fn refusals_in_a_row_end_a_session_and_others_do_not() {
        let limits = GatewayLimits { rate_strikes: 3, ..GatewayLimits::default() };
        let mut quota = Quota::full(0);
        assert!(quota.strike(&limits) && quota.strike(&limits));
        quota.forgive();
        assert!(quota.strike(&limits) && quota.strike(&limits));
        assert!(!quota.strike(&limits));
    }
}
