//! Measures the generator itself: whether it kept its own schedule.
//!
//! Latencies are counted from the intended time, so a late generator makes the cluster look slow. A
//! run must say so instead of blaming the cluster.

mod lateness;

pub use lateness::{LATE, Lateness, Second, is_late};
