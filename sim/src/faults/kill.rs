//! `kill`: a process dies at once; its peers see their connections end. It is restarted on the same
//! disk, of which the page cache has survived.

use super::{Active, Stage};
use rand::Rng;
use std::sync::Arc;

/// The processes die.
pub fn begin(fault: &mut Active, stage: &mut Stage<'_, '_>) {
    fault.effect += die(&fault.hosts, fault.id, stage);
}

/// The processes of some hosts die, if they run; how many did.
pub fn die(hosts: &[Arc<str>], fault: u32, stage: &mut Stage<'_, '_>) -> u64 {
    let mut random = stage.stream(fault, "disk");
    let mut died = 0;
    for name in hosts {
        if !stage.sim.is_host_running(&**name) {
            continue;
        }
        // First the disk: what the dying process still does must not reach it.
        let draw = &mut |bound| random.random_range(0..bound);
        stage.hosts.get(name).disk.kill(draw);
        stage.sim.crash(&**name);
        died += 1;
    }
    died
}

/// The processes start again.
pub fn end(fault: &mut Active, stage: &mut Stage<'_, '_>) {
    for name in &fault.hosts {
        if !stage.sim.is_host_running(&**name) {
            // A stopped process that was killed is not stopped when it starts again.
            stage.hosts.get(name).gate.restart();
            stage.sim.bounce(&**name);
        }
    }
}
