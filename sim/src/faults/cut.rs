//! `cut`: a partition, two-way or one-way. Packets vanish; streams across it are dead for ever, without
//! a word, also after it has healed (as when both ends' retransmissions have run out).

use super::links::{Claim, both_ways};
use super::{Active, Stage};

/// Drops all packets of the pairs; of a two-way cut in both directions.
pub fn begin(fault: &Active, stage: &mut Stage<'_, '_>, one_way: bool) {
    let (sim, id) = (&*stage.sim, fault.id);
    if one_way {
        stage.board.lay(sim, id, Claim::Cut, fault.pairs.iter().cloned());
    } else {
        stage.board.lay(sim, id, Claim::Cut, both_ways(&fault.pairs));
    }
}
