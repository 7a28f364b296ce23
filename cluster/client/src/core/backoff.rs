//! When to connect again: exponential backoff with full jitter.
//!
//! Full jitter (a uniform draw from zero to the exponential bound) spreads a crowd best of the known
//! variants: Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.

use super::Settings;
use protocol::design::ReconnectJitter;

/// A small stream of random numbers: splitmix64 (Steele, Lea, Flood, OOPSLA 2014).
#[derive(Clone, Copy, Debug)]
pub struct Draws(u64);

impl Draws {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// Uniform from zero to `bound`, both included.
    pub fn up_to(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * (u128::from(bound) + 1)) >> 64) as u64
    }
}

/// How long to wait before the connection attempt that follows `failures` failed ones.
pub fn delay_ms(settings: &Settings, failures: u32, draws: &mut Draws) -> u64 {
    let bound =
        settings.backoff_ms_base.saturating_mul(1 << failures.min(20)).min(settings.backoff_ms_max);
    match settings.jitter {
        ReconnectJitter::On => draws.up_to(bound),
        ReconnectJitter::Off => bound,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_the_bound_and_use_all_of_it() {
        let settings = Settings::default();
        for failures in [0, 1, 3, 10, 1_000] {
            let bound = (settings.backoff_ms_base << failures.min(20)).min(settings.backoff_ms_max);
            let mut draws = Draws::new(7);
            let delays: Vec<u64> =
                (0..1_000).map(|_| delay_ms(&settings, failures, &mut draws)).collect();
            assert!(delays.iter().all(|&delay| delay <= bound));
            assert!(delays.iter().any(|&delay| delay < bound / 10), "the low end is used");
            assert!(delays.iter().any(|&delay| delay > bound - bound / 10), "the high end is used");
        }
    }

    #[test]
    fn without_jitter_everybody_comes_at_the_same_moment() {
        let settings = Settings { jitter: ReconnectJitter::Off, ..Settings::default() };
        let delays = [1, 2, 3].map(|seed| delay_ms(&settings, 2, &mut Draws::new(seed)));
        assert_eq!(delays, [1_000; 3]);
    }
}
