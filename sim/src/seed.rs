//! Streams of randomness, all derived from one seed by hashing, never by adding.

use crate::machine::trace::{Kind, Trace};
use ports::{Entropy, entered};
use protocol::mix::derive;
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::Mutex;

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
