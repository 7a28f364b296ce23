//! The forms of a report that are text: for a terminal, for people who read diffs, for CI.

pub(crate) mod comparison;
pub(crate) mod effect;
pub(crate) mod fidelity;
mod first;
pub(crate) mod fitted;
pub(crate) mod junit;
pub(crate) mod knee;
pub(crate) mod live;
pub(crate) mod live_metrics;
pub(crate) mod markdown;
pub(crate) mod notes;
pub(crate) mod progress;
pub(crate) mod requests;
pub(crate) mod sweep;
pub(crate) mod terminal;
pub(crate) mod totals;
