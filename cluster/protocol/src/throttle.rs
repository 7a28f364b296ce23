//! How often something may be asked for: token buckets, one alone or one for each key. Pure: time comes in
//! as an argument.

use std::collections::BTreeMap;

const SECOND_MS: u64 = 1_000;

/// A bucket that fills with time. Counted in fractions of a token, so that slow rates stay exact: as many
/// make one as its rate's unit has milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct TokenBucket {
    missing: u64,
    at_ms: u64,
}

impl TokenBucket {
    /// A full one.
    pub const fn full(now_ms: u64) -> Self {
        Self { missing: 0, at_ms: now_ms }
    }

    /// Takes one.
    ///
    /// # Errors
    /// There is none; in how many milliseconds there will be one.
    #[inline]
    pub fn take(&mut self, now_ms: u64, per_second: u32, burst: u32) -> Result<(), u32> {
        self.take_of(SECOND_MS, now_ms, per_second, burst)
    }

    #[inline]
    fn take_of(&mut self, unit_ms: u64, now_ms: u64, rate: u32, burst: u32) -> Result<(), u32> {
        self.refill(now_ms, rate);
        let missing = self.missing + unit_ms;
        let capacity = u64::from(burst.max(1)) * unit_ms;
        if missing <= capacity {
            self.missing = missing;
            return Ok(());
        }
        Err((missing - capacity).div_ceil(u64::from(rate.max(1))) as u32)
    }

    /// In how many milliseconds it is full again.
    pub fn full_in_ms(&mut self, now_ms: u64, rate: u32) -> u64 {
        self.refill(now_ms, rate);
        self.missing.div_ceil(u64::from(rate.max(1)))
    }

    fn refill(&mut self, now_ms: u64, rate: u32) {
        let passed = now_ms.saturating_sub(self.at_ms);
        let refilled = passed.saturating_mul(u64::from(rate.max(1)));
        self.missing = self.missing.saturating_sub(refilled);
        self.at_ms = self.at_ms.max(now_ms);
    }
}

/// A token bucket for each of those who have asked for something lately, in bounded memory.
#[derive(Debug)]
pub struct Throttle<K> {
    rate: u32,
    burst: u32,
    /// What the rate is for, milliseconds.
    unit_ms: u64,
    keys_max: usize,
    buckets: BTreeMap<K, TokenBucket>,
}

impl<K: Ord> Throttle<K> {
    /// So many a second, and `burst` at once; for at most so many keys.
    pub const fn per_second(rate: u32, burst: u32, keys_max: usize) -> Self {
        Self::new(rate, burst, SECOND_MS, keys_max)
    }

    /// So many a minute.
    pub const fn per_minute(rate: u32, burst: u32, keys_max: usize) -> Self {
        Self::new(rate, burst, 60 * SECOND_MS, keys_max)
    }

    const fn new(rate: u32, burst: u32, unit_ms: u64, keys_max: usize) -> Self {
        Self { rate, burst, unit_ms, keys_max, buckets: BTreeMap::new() }
    }

    /// Takes one of a key's.
    ///
    /// # Errors
    /// There is none; in how many seconds there will be one.
    pub fn take(&mut self, key: K, now_ms: u64) -> Result<(), u64> {
        if self.buckets.len() >= self.keys_max && !self.buckets.contains_key(&key) {
            self.make_room(now_ms);
        }
        let bucket = self.buckets.entry(key).or_insert_with(|| TokenBucket::full(now_ms));
        let taken = bucket.take_of(self.unit_ms, now_ms, self.rate, self.burst);
        taken.map_err(|wait_ms| u64::from(wait_ms).div_ceil(SECOND_MS).max(1))
    }

    /// Puts one back that was taken: what was asked for does not count.
    pub fn give_back(&mut self, key: &K) {
        if let Some(bucket) = self.buckets.get_mut(key) {
            bucket.missing = bucket.missing.saturating_sub(self.unit_ms);
        }
    }

    /// Full buckets say nothing and go; if there are none, the fuller half goes. Whoever has asked most is
    /// forgotten last, so that nobody starts afresh by asking under many keys.
    fn make_room(&mut self, now_ms: u64) {
        let rate = self.rate;
        self.buckets.retain(|_, bucket| bucket.full_in_ms(now_ms, rate) > 0);
        if self.buckets.len() >= self.keys_max {
            let mut levels: Vec<u64> = self.buckets.values().map(|bucket| bucket.missing).collect();
            let middle = levels.len() / 2;
            let (_, median, _) = levels.select_nth_unstable(middle);
            let median = *median;
            self.buckets.retain(|_, bucket| bucket.missing > median);
        }
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
    fn every_key_has_its_own_and_waits_in_seconds() {
        for (mut throttle, one_ms) in
            [(Throttle::per_second(4, 5, 9), 250), (Throttle::per_minute(6, 5, 9), 10_000)]
        {
            for _ in 0..5 {
                assert_eq!(throttle.take(1, 0), Ok(()));
            }
            let wait_s = u64::div_ceil(one_ms, 1_000);
            assert_eq!(throttle.take(1, 0), Err(wait_s));
            assert_eq!(throttle.take(2, 0), Ok(()), "others are not harmed");
            assert!(throttle.take(1, one_ms - 20).is_err());
            assert_eq!(throttle.take(1, one_ms), Ok(()));
            assert!(throttle.take(1, one_ms).is_err());
            throttle.give_back(&1);
            assert_eq!(throttle.take(1, one_ms), Ok(()));
        }
    }

    #[test]
    fn memory_is_bounded_and_whoever_asked_most_is_not_forgotten() {
        let mut throttle = Throttle::per_second(1, 3, 8);
        while throttle.take(0, 0).is_ok() {}
        for key in 1..1_000 {
            assert_eq!(throttle.take(key, 0), Ok(()));
            assert!(throttle.buckets.len() <= 8);
        }
        assert!(throttle.take(0, 0).is_err());
    }

    #[test]
    fn nobody_gets_more_than_burst_and_rate() {
        let mut random = crate::mix::SplitMix::new(7);
        for rate in 1..40 {
            let (burst, mut throttle) = (rate / 2 + 1, Throttle::per_second(rate, rate / 2 + 1, 1));
            let (mut now, mut taken) = (0, 0);
            for _ in 0..600 {
                now += random.below(30);
                taken += u64::from(throttle.take((), now).is_ok());
            }
            let most = u64::from(burst) + now * u64::from(rate) / 1_000;
            assert!(taken <= most, "{taken} of {most}");
        }
    }
}
