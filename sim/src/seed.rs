//! Streams of randomness, all derived from one seed by hashing, never by adding.

use crate::machine::trace::{Kind, Trace};
use ports::{Entropy, entered};
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::Mutex;

/// The seed of the stream `name`: FNV-1a over the name and the seed, finished by splitmix64. Two names
/// give unrelated streams; one more stream disturbs no other.
pub fn derive(seed: u64, name: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in name.bytes().chain(seed.to_le_bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

/// One named stream.
pub fn stream(seed: u64, name: &str) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(derive(seed, name))
}

/// A host's source of randomness.
#[derive(Debug)]
pub struct SeededEntropy {
    stream: Mutex<ChaCha8Rng>,
    trace: Trace,
}

impl SeededEntropy {
    /// The entropy of one life of a host.
    pub fn new(seed: u64, host: &str, life: u32, trace: Trace) -> Self {
        let stream = Mutex::new(stream(seed, &format!("entropy/{host}/{life}")));
        Self { stream, trace }
    }
}

impl Entropy for SeededEntropy {
    fn next_u64(&self) -> u64 {
        let drawn = entered(self.stream.lock()).next_u64();
        self.trace.number(Kind::Random, drawn);
        drawn
    }
}
