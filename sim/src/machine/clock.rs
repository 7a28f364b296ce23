//! A simulated host's wall clock: the simulated date, plus the host's skew. Timers do not follow it.

use crate::hooks::EPOCH_SECONDS;
use ports::WallClock;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How far one host's wall clock is off; clones are the same setting.
#[derive(Clone, Debug, Default)]
pub struct Skew(Arc<Mutex<Setting>>);

#[derive(Debug, Default)]
struct Setting {
    offset_ms: i64,
    drift_ppm: i64,
    since: Duration,
    /// Reads of the clock since the skew was set: the effect of the fault.
    reads: u64,
}

impl Skew {
    /// From now on the clock is off by `offset_ms`, and by `drift_ppm` microseconds more per second.
    pub fn set(&self, offset_ms: i64, drift_ppm: i64, now: Duration) -> u64 {
        let mut setting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let reads = setting.reads;
        *setting = Setting { offset_ms, drift_ppm, since: now, reads: 0 };
        reads
    }

    /// The wall clock at a simulated time, in milliseconds since the Unix epoch.
    fn read(&self, elapsed: Duration) -> u64 {
        let mut setting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        setting.reads += 1;
        let true_ms = EPOCH_SECONDS * 1_000 + elapsed.as_millis() as u64;
        let drifting_ms = elapsed.saturating_sub(setting.since).as_millis() as i64;
        let error_ms = setting.offset_ms + drifting_ms * setting.drift_ppm / 1_000_000;
        true_ms.saturating_add_signed(error_ms)
    }
}

impl WallClock for Skew {
    fn now_ms(&self) -> u64 {
        // Outside of a host (there is none in production code) the date is the epoch.
        self.read(turmoil::sim_elapsed().unwrap_or_default())
    }
}
