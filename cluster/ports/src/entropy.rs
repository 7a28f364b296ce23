//! Randomness: from the operating system, or from a seed.

use protocol::mix::{GAMMA, mix};
use std::sync::atomic::{AtomicU64, Ordering};

/// A machine's source of random numbers.
pub trait Entropy: Send + Sync {
    /// 64 uniformly distributed bits.
    fn next_u64(&self) -> u64;

    /// Fills a buffer.
    fn fill(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            chunk.copy_from_slice(&self.next_u64().to_le_bytes()[..chunk.len()]);
        }
    }

    /// A number below `bound` (at least 1); Lemire's multiply-shift, bias below 2^-32 for small bounds.
    fn below(&self, bound: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }
}

/// splitmix64 from a seed, shared by all tasks of a machine: for what is no secret.
#[derive(Debug, Default)]
pub struct Seeded(AtomicU64);

impl Seeded {
    /// The numbers of a seed.
    pub const fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }
}

impl Entropy for Seeded {
    fn next_u64(&self) -> u64 {
        mix(self.0.fetch_add(GAMMA, Ordering::Relaxed))
    }
}
