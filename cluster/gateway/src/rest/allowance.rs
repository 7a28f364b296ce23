//! How many requests a user may make: a token bucket each. Pure: time comes in as an argument.

use protocol::UserId;
use protocol::limits::GatewayLimits;
use std::collections::BTreeMap;

/// A thousandth of a request, so that a bucket refills smoothly in whole numbers.
const REQUEST: u64 = 1_000;

/// The buckets of all users that have made requests lately.
#[derive(Debug)]
pub struct Allowances {
    limits: GatewayLimits,
    buckets: BTreeMap<UserId, Bucket>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: u64,
    at_ms: u64,
}

impl Bucket {
    fn refilled(self, limits: &GatewayLimits, now_ms: u64) -> Self {
        let passed = now_ms.saturating_sub(self.at_ms);
        let gained = passed.saturating_mul(u64::from(limits.rest_per_second));
        Self {
            left: self.left.saturating_add(gained).min(full(limits)),
            at_ms: now_ms.max(self.at_ms),
        }
    }
}

/// What a bucket holds.
fn full(limits: &GatewayLimits) -> u64 {
    u64::from(limits.rest_burst) * REQUEST
}

impl Allowances {
    /// Nobody has asked for anything.
    pub fn new(limits: GatewayLimits) -> Self {
        Self { limits, buckets: BTreeMap::new() }
    }

    /// Takes one request off a user's allowance; an error says after how many seconds there is one.
    pub fn take(&mut self, user: UserId, now_ms: u64) -> Result<(), u64> {
        if self.buckets.len() >= self.limits.rest_users && !self.buckets.contains_key(&user) {
            self.forget(now_ms);
        }
        let bucket =
            self.buckets.entry(user).or_insert(Bucket { left: full(&self.limits), at_ms: now_ms });
        *bucket = bucket.refilled(&self.limits, now_ms);
        if bucket.left < REQUEST {
            let per_second = u64::from(self.limits.rest_per_second) * 1_000;
            return Err((REQUEST - bucket.left).div_ceil(per_second).max(1));
        }
        bucket.left -= REQUEST;
        Ok(())
    }

    /// Makes room: full buckets go, for they say nothing, and if nobody has one, everybody starts afresh: a bound on memory
    /// matters more than the last requests of so many busy users.
    fn forget(&mut self, now_ms: u64) {
        let limits = self.limits;
        self.buckets.retain(|_, bucket| bucket.refilled(&limits, now_ms).left < full(&limits));
        if self.buckets.len() >= self.limits.rest_users {
            self.buckets.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: GatewayLimits = GatewayLimits::tiny();

    #[test]
    fn a_burst_is_allowed_and_then_the_rate() {
        let mut allowances = Allowances::new(LIMITS);
        for _ in 0..LIMITS.rest_burst {
            assert_eq!(allowances.take(UserId(1), 0), Ok(()));
        }
        assert_eq!(allowances.take(UserId(1), 0), Err(1));
        assert_eq!(allowances.take(UserId(2), 0), Ok(()), "others are not harmed");
        let one = 1_000 / u64::from(LIMITS.rest_per_second);
        assert_eq!(allowances.take(UserId(1), one), Ok(()));
        assert_eq!(allowances.take(UserId(1), one), Err(1));
    }

    #[test]
    fn the_number_of_buckets_is_bounded() {
        let mut allowances = Allowances::new(LIMITS);
        for user in 0..=2 * LIMITS.rest_users as u64 {
            assert_eq!(allowances.take(UserId(user), 0), Ok(()));
        }
        assert!(allowances.buckets.len() <= LIMITS.rest_users);
    }

    proptest! {
        #[test]
        fn nobody_gets_more_than_burst_and_rate(gaps in prop::collection::vec(0..30_u64, 1..600)) {
            let mut allowances = Allowances::new(LIMITS);
            let (mut now, mut taken) = (0, 0);
            for gap in gaps {
                now += gap;
                taken += u64::from(allowances.take(UserId(1), now).is_ok());
            }
            let most = u64::from(LIMITS.rest_burst) + now * u64::from(LIMITS.rest_per_second) / 1_000;
            prop_assert!(taken <= most, "{taken} of {most}");
        }
    }
}
