//! Where everything goes that happens to users.

use verify::history::What;

/// Takes events in the order in which they happen. The implementor stamps the time.
pub trait Recorder: Send + Sync {
    /// Something happened, now.
    fn record(&self, what: What);
    /// Microseconds since the run began: the clock of the stamps.
    fn now_us(&self) -> u64;
}
