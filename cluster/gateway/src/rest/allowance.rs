//! How many requests a user may make: a token bucket each. Pure: time comes in as an argument.

use protocol::{UserId, limits};
use std::collections::BTreeMap;

/// Buckets of this many users are kept; full ones are forgotten first, for they say nothing.
const USERS_MAX: usize = 65_536;

/// A thousandth of a request, so that a bucket refills smoothly in whole numbers.
const REQUEST: u64 = 1_000;
const FULL: u64 = limits::REST_BURST as u64 * REQUEST;

/// The buckets of all users that have made requests lately.
#[derive(Debug, Default)]
pub struct Allowances {
    buckets: BTreeMap<UserId, Bucket>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: u64,
    at_ms: u64,
}

impl Bucket {
    fn refilled(self, now_ms: u64) -> Self {
        let gained =
            now_ms.saturating_sub(self.at_ms).saturating_mul(u64::from(limits::REST_PER_SECOND));
        Self { left: self.left.saturating_add(gained).min(FULL), at_ms: now_ms.max(self.at_ms) }
    }
}

impl Allowances {
    /// Takes one request off a user's allowance; an error says after how many seconds there is one.
    pub fn take(&mut self, user: UserId, now_ms: u64) -> Result<(), u64> {
        if self.buckets.len() >= USERS_MAX && !self.buckets.contains_key(&user) {
            self.forget(now_ms);
        }
        let bucket = self.buckets.entry(user).or_insert(Bucket { left: FULL, at_ms: now_ms });
        *bucket = bucket.refilled(now_ms);
        if bucket.left < REQUEST {
            let per_second = u64::from(limits::REST_PER_SECOND) * 1_000;
            return Err((REQUEST - bucket.left).div_ceil(per_second).max(1));
        }
        bucket.left -= REQUEST;
        Ok(())
    }

    /// Makes room: full buckets go, and if nobody has one, everybody starts afresh: a bound on memory
    /// matters more than the last requests of 65,536 busy users.
    fn forget(&mut self, now_ms: u64) {
        self.buckets.retain(|_, bucket| bucket.refilled(now_ms).left < FULL);
        if self.buckets.len() >= USERS_MAX {
            self.buckets.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_burst_is_allowed_and_then_the_rate() {
        let mut allowances = Allowances::default();
        for _ in 0..limits::REST_BURST {
            assert_eq!(allowances.take(UserId(1), 0), Ok(()));
        }
        assert_eq!(allowances.take(UserId(1), 0), Err(1));
        assert_eq!(allowances.take(UserId(2), 0), Ok(()), "others are not harmed");
        let one = 1_000 / u64::from(limits::REST_PER_SECOND);
        assert_eq!(allowances.take(UserId(1), one), Ok(()));
        assert_eq!(allowances.take(UserId(1), one), Err(1));
    }

    #[test]
    fn the_number_of_buckets_is_bounded() {
        let mut allowances = Allowances::default();
        for user in 0..=USERS_MAX as u64 {
            assert_eq!(allowances.take(UserId(user), 0), Ok(()));
        }
        assert!(allowances.buckets.len() <= USERS_MAX);
    }

    proptest! {
        #[test]
        fn nobody_gets_more_than_burst_and_rate(gaps in prop::collection::vec(0..30_u64, 1..600)) {
            let mut allowances = Allowances::default();
            let (mut now, mut taken) = (0, 0);
            for gap in gaps {
                now += gap;
                taken += u64::from(allowances.take(UserId(1), now).is_ok());
            }
            let most = u64::from(limits::REST_BURST) + now * u64::from(limits::REST_PER_SECOND) / 1_000;
            prop_assert!(taken <= most, "{taken} of {most}");
        }
    }
}
