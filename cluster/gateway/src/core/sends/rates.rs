//! How much each user may send. A bucket outlives the user's sessions: reconnecting does not refill it.

use protocol::UserId;
use protocol::limits::GatewayLimits;
use protocol::throttle::TokenBucket;
use std::collections::BTreeMap;

/// The buckets of users that have sent something lately.
#[derive(Debug)]
pub struct Rates {
    per_second: u32,
    burst: u32,
    buckets: BTreeMap<UserId, TokenBucket>,
}

impl Rates {
    /// Everybody's bucket is full.
    pub const fn new(limits: &GatewayLimits) -> Self {
        let GatewayLimits { rate_per_second, rate_burst, .. } = *limits;
        Self { per_second: rate_per_second, burst: rate_burst, buckets: BTreeMap::new() }
    }

    /// A user sends one more.
    ///
    /// # Errors
    /// In how many milliseconds there will be room.
    pub fn take(&mut self, now_ms: u64, user: UserId) -> Result<(), u32> {
        let bucket = self.buckets.entry(user).or_insert_with(|| TokenBucket::full(now_ms));
        bucket.take(now_ms, self.per_second, self.burst)
    }

    /// In how many milliseconds a user's bucket is full again, if one is kept.
    pub fn full_in_ms(&mut self, now_ms: u64, user: UserId) -> Option<u64> {
        let bucket = self.buckets.get_mut(&user)?;
        Some(bucket.full_in_ms(now_ms, self.per_second))
    }

    /// A bucket that is full by now need not be kept. One that is not was used by a later session.
    pub fn forget(&mut self, now_ms: u64, user: UserId) {
        if self.full_in_ms(now_ms, user) == Some(0) {
            self.buckets.remove(&user);
        }
    }

    /// Whether nobody's is kept.
    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }
}
