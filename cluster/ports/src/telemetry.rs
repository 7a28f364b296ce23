//! Numbers about a node: to Prometheus in production, to the judge in a simulation.
//!
//! Names are `snake_case` with the unit last, as Prometheus has them, without the node: the adapter
//! adds it.

/// Where a node's numbers go. Cheap: called on hot paths, once per batch.
pub trait Telemetry: Send + Sync {
    /// A level that has a limit (`queues_stay_bounded` is judged from these).
    fn gauge(&self, name: &'static str, value: u64, limit: u64);
    /// Something happened `by` times.
    fn count(&self, name: &'static str, by: u64);
    /// Something took this long.
    fn time(&self, name: &'static str, took: std::time::Duration);
}
