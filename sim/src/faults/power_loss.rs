//! `power_loss`: a machine goes dark. Its peers hear nothing (no end of the connections), and what was
//! not forced to the disk is lost or torn.

use super::{Active, Stage};
use rand::Rng;
use scenarios::faults::claims::Claim;
use scenarios::faults::target::Pair;

/// The machines go dark: first their cables, so that no goodbye escapes.
pub fn begin(fault: &mut Active, stage: &mut Stage<'_, '_>) {
    let dark: Vec<_> =
        fault.hosts.iter().filter(|name| stage.sim.is_host_running(&***name)).cloned().collect();
    let mut pairs: Vec<Pair> = Vec::new();
    for name in &dark {
        for other in stage.hosts.names().filter(|other| *other != name) {
            pairs.push((name.clone(), other.clone()));
            pairs.push((other.clone(), name.clone()));
        }
    }
    stage.board.lay(stage.sim, fault.id, Claim::Cut, pairs);
    let mut random = stage.stream(fault.id, "disk");
    for name in &dark {
        let draw = &mut |bound| random.random_range(0..bound);
        let losses = stage.hosts.get(name).disk.power_loss(draw);
        stage.sim.crash(&**name);
        fault.effect += 1 + losses.lost + losses.torn + losses.cut;
    }
}

/// The power is back: the cables, then the processes.
pub fn end(fault: &mut Active, stage: &mut Stage<'_, '_>) {
    stage.board.lift(stage.sim, fault.id);
    super::kill::end(fault, stage);
}
