//! Runs, observed and compared: what a single run does with its events, many seeds at a time
//! (`explore`), one seed twice (`twin`), one rate after another (`knee`).
//!
//! Each of many runs is a process of its own, so that nothing of one reaches another. Running is left to
//! `sim` and `loadgen`, printing to whoever calls.

pub mod agents;
mod doubts;
pub mod explore;
pub mod followed;
pub mod knee;
pub mod lookup;
pub mod observation;
pub mod opening;
pub mod reproduce;
pub mod tries;
pub mod twin;

pub use observation::{Circumstances, Concluded, Observation};
pub use opening::{Opened, Opening};

/// Invalid usage, or an invalid scenario file: the caller's mistake, in words for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidUsage(pub String);
