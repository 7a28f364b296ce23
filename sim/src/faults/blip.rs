//! `blip`: links stall, then heal. TCP survives it: what was under way arrives late, nothing is lost.

use super::links::{Claim, both_ways};
use super::{Active, Stage};

/// Holds all packets.
pub fn begin(fault: &Active, stage: &mut Stage<'_, '_>) {
    stage.board.lay(stage.sim, fault.id, Claim::Hold, both_ways(&fault.pairs));
}
