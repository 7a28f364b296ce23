//! When a slow reader reads and when it does not.

use scenarios::scenario::SlowReaders;
use std::time::Duration;
use tokio::time::Instant;

/// Stalls and reads in turns, once the load has begun.
#[derive(Debug)]
pub struct Slowness {
    stall: Duration,
    read: Duration,
    stalled: bool,
    until: Instant,
}

impl Slowness {
    /// Begins with a stall.
    pub fn new(slow: SlowReaders) -> Self {
        // A turn of no length at all would never let time pass.
        let least = Duration::from_millis(1);
        let (stall, read) = (slow.stall.max(least), slow.read.max(least));
        Self { stall, read, stalled: true, until: Instant::now() + stall }
    }

    /// When the next turn begins.
    pub const fn until(&self) -> Instant {
        self.until
    }

    /// Whether it reads now.
    pub const fn reads(&self) -> bool {
        !self.stalled
    }

    /// The other turn begins.
    pub fn turn(&mut self) {
        self.stalled = !self.stalled;
        self.until = Instant::now() + if self.stalled { self.stall } else { self.read };
    }
}
