//! Numbers about a node: to Prometheus in production, to the judge in a simulation.
//!
//! Names are `snake_case` with the unit last, as Prometheus has them, without the node: the adapter
//! adds it.

use std::time::Duration;

/// A label and its value. Both are in the program's text, so there are few of them: each pair of name and
/// labels is kept for ever, and users or conversations would be without number.
pub type Label = (&'static str, &'static str);

/// Where a node's numbers go. Cheap: called on hot paths, once per batch.
pub trait Telemetry: Send + Sync {
    /// A level that has a limit (`queues_stay_bounded` is judged from these).
    fn gauge(&self, name: &'static str, value: u64, limit: u64);
    /// Something happened `by` times.
    fn count(&self, name: &'static str, by: u64);
    /// Something took this long.
    fn time(&self, name: &'static str, took: Duration);

    /// Something happened `by` times, of this kind. Who tells no kinds apart counts all of them.
    fn count_of(&self, name: &'static str, _labels: &[Label], by: u64) {
        self.count(name, by);
    }

    /// Something of this kind took this long.
    fn time_of(&self, name: &'static str, _labels: &[Label], took: Duration) {
        self.time(name, took);
    }

    /// Things took this long each.
    fn times(&self, name: &'static str, took: &[Duration]) {
        for took in took {
            self.time(name, *took);
        }
    }
}
