//! `slow_link`: links with another latency distribution.

use super::links::{Claim, set_latency};
use super::{Active, Stage};
use std::time::Duration;

/// The links become slow.
pub fn begin(fault: &Active, stage: &mut Stage<'_, '_>, min: Duration, max: Duration) {
    let back = fault.pairs.iter().map(|(from, to)| (to.clone(), from.clone()));
    let pairs: Vec<_> = fault.pairs.iter().cloned().chain(back).collect();
    set_latency(stage.sim, pairs.iter().cloned(), min, max);
    stage.board.lay(stage.sim, fault.number, Claim::Slow, pairs);
}

/// The links are as before.
pub fn end(fault: &mut Active, stage: &mut Stage<'_, '_>) {
    fault.effect += stage.board.lift(stage.sim, fault.number);
    let back = fault.pairs.iter().map(|(from, to)| (to.clone(), from.clone()));
    let pairs: Vec<_> = fault.pairs.iter().cloned().chain(back).collect();
    set_latency(stage.sim, pairs, stage.network.latency_min, stage.network.latency_max);
}
