//! `cut`: a partition, two-way or one-way. Packets vanish; streams across it are dead for ever, without
//! a word, also after it has healed (as when both ends' retransmissions have run out).

use super::links::Claim;
use super::{Active, Stage};

/// Drops all packets of the pairs; of a two-way cut in both directions.
pub fn begin(fault: &Active, stage: &mut Stage<'_, '_>, one_way: bool) {
    let back = fault.pairs.iter().filter(|_| !one_way).map(|(from, to)| (to.clone(), from.clone()));
    let pairs: Vec<_> = fault.pairs.iter().cloned().chain(back).collect();
    stage.board.lay(stage.sim, fault.number, Claim::Cut, pairs);
}
