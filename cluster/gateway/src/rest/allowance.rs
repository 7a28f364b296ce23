//! How many requests a user may make: a token bucket each. Pure: time comes in as an argument.

use crate::core::limits::TokenBucket;
use protocol::UserId;
use protocol::limits::GatewayLimits;
use std::collections::BTreeMap;

/// The buckets of all users that have made requests lately.
#[derive(Debug)]
pub struct Allowances {
    limits: GatewayLimits,
    buckets: BTreeMap<UserId, TokenBucket>,
}

impl Allowances {
    /// Nobody has asked for anything.
    pub fn new(limits: GatewayLimits) -> Self {
        Self { limits, buckets: BTreeMap::new() }
    }

    /// Takes one request off a user's allowance; an error says after how many seconds there is one.
    pub fn take(&mut self, user: UserId, now_ms: u64) -> Result<(), u64> {
        let GatewayLimits { rest_per_second, rest_burst, rest_users, .. } = self.limits;
        if self.buckets.len() >= rest_users && !self.buckets.contains_key(&user) {
            // Full buckets go, for they say nothing, and if nobody has one, everybody starts afresh: a
            // bound on memory matters more than the last requests of so many busy users.
            self.buckets.retain(|_, bucket| bucket.full_in_ms(now_ms, rest_per_second) > 0);
            if self.buckets.len() >= rest_users {
                self.buckets.clear();
            }
        }
        let bucket = self.buckets.entry(user).or_insert_with(|| TokenBucket::full(now_ms));
        let taken = bucket.take(now_ms, rest_per_second, rest_burst);
        taken.map_err(|wait_ms| u64::from(wait_ms).div_ceil(1_000).max(1))
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
