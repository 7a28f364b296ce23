//! `slow_link`: links with another latency distribution.

use super::links::{Claim, Latency, both_ways};
use super::{Active, Stage};

/// The links become slow.
pub fn begin(fault: &Active, stage: &mut Stage<'_, '_>, latency: Latency) {
    stage.board.lay(stage.sim, fault.id, Claim::Slow(latency), both_ways(&fault.pairs));
}
