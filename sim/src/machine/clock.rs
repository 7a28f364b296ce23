//! A simulated host's wall clock: the simulated date, plus every error that stands. Timers do not
//! follow it.

use crate::hooks::EPOCH_SECONDS;
use ports::{WallClock, entered};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// The wall clock of one host; clones are the same clock.
#[derive(Clone, Debug, Default)]
pub struct Clock(Arc<Mutex<Vec<Standing>>>);

/// How far a clock is off, from a simulated time on: by `offset_ms`, and by `drift_ppm` microseconds
/// more per second.
#[derive(Clone, Copy, Debug)]
pub struct Error {
    /// At once.
    pub offset_ms: i64,
    /// And then.
    pub drift_ppm: i64,
    /// From when on.
    pub since: Duration,
}

#[derive(Debug)]
struct Standing {
    fault: u32,
    error: Error,
    /// Reads of the clock while the error stands: the effect of the fault.
    reads: u64,
}

impl Clock {
    /// A fault makes the clock wrong; errors of several faults add up.
    pub fn begin(&self, fault: u32, error: Error) {
        self.lock().push(Standing { fault, error, reads: 0 });
    }

    /// A fault ends; how often the clock was read meanwhile.
    pub fn end(&self, fault: u32) -> u64 {
        let mut standing = self.lock();
        let reads = standing.iter().filter(|one| one.fault == fault).map(|one| one.reads).sum();
        standing.retain(|one| one.fault != fault);
        reads
    }

    /// The wall clock at a simulated time, in milliseconds since the Unix epoch.
    fn read(&self, elapsed: Duration) -> u64 {
        let mut error_ms = 0;
        for Standing { error, reads, .. } in self.lock().iter_mut() {
            *reads += 1;
            let drifting_ms = elapsed.saturating_sub(error.since).as_millis() as i64;
            error_ms += error.offset_ms + drifting_ms * error.drift_ppm / 1_000_000;
        }
        let true_ms = EPOCH_SECONDS * 1_000 + elapsed.as_millis() as u64;
        true_ms.saturating_add_signed(error_ms)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Standing>> {
        entered(self.0.lock())
    }
}

impl WallClock for Clock {
    fn now_ms(&self) -> u64 {
        // Outside of a host (there is none in production code) the date is the epoch.
        self.read(turmoil::sim_elapsed().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_add_up_and_each_ends_alone() {
        let clock = Clock::default();
        let at = |seconds| clock.read(Duration::from_secs(seconds)) - EPOCH_SECONDS * 1_000;
        let error = |offset_ms, drift_ppm| Error { offset_ms, drift_ppm, since: Duration::ZERO };
        clock.begin(1, error(500, 0));
        clock.begin(2, error(0, 1_000));
        assert_eq!(at(10), 10_510);
        assert_eq!(clock.end(1), 1);
        assert_eq!(at(20), 20_020);
        assert_eq!(clock.end(2), 2);
        assert_eq!(at(30), 30_000);
    }
}
