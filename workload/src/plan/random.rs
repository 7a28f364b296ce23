//! Streams of random numbers, derived by hashing the seed, a name and an index.
//!
//! Never by adding: two streams with neighbouring seeds would be the same numbers, shifted.

use rand::SeedableRng;
use rand::rngs::SmallRng;
use scenarios::scenario::Size;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// One number.
pub fn number(seed: u64, name: &str, index: u64) -> u64 {
    xxh3_64_with_seed(&index.to_le_bytes(), xxh3_64_with_seed(name.as_bytes(), seed))
}

/// A stream of numbers.
pub fn stream(seed: u64, name: &str, index: u64) -> SmallRng {
    SmallRng::seed_from_u64(number(seed, name, index))
}

/// A draw from a scenario's distribution of sizes.
pub fn size(of: Size, random: &mut impl rand::Rng) -> u32 {
    match of {
        Size::Fixed(size) => size,
        Size::Uniform(low, high) => random.random_range(low..=high.max(low)),
        Size::Zipf(low, high, exponent) => {
            let ranks = f64::from(high.saturating_sub(low)) + 1.0;
            // The reader of scenarios has checked the exponent; one rank is no distribution.
            rand_distr::Zipf::new(ranks, exponent).map_or(low, |zipf| {
                let rank: f64 = random.sample(zipf);
                (low + (rank as u32).saturating_sub(1)).min(high.max(low))
            })
        }
    }
}
