//! The wall clock. Timers and deadlines use `tokio::time`, which a skewed wall clock leaves alone.

/// A node's idea of the date, which may be skewed and may jump.
pub trait WallClock: Send + Sync {
    /// Milliseconds since the Unix epoch.
    fn now_ms(&self) -> u64;
}
