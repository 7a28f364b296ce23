//! `kill`: a process dies at once; its peers see their connections end. It is restarted on the same
//! disk, of which the page cache has survived.

use super::{Active, Stage};

/// The processes die.
pub fn begin(fault: &mut Active, stage: &mut Stage<'_, '_>) {
    let mut random = stage.stream(fault.id, "disk");
    for name in &fault.hosts {
        if !stage.sim.is_host_running(&**name) {
            continue;
        }
        stage.sim.crash(&**name);
        stage.hosts.get(name).disk.kill(&mut random);
        fault.effect += 1;
    }
}

/// The processes start again.
pub fn end(fault: &mut Active, stage: &mut Stage<'_, '_>) {
    for name in &fault.hosts {
        // A stopped process that was killed is not stopped when it starts again.
        stage.hosts.get(name).gate.restart();
        if !stage.sim.is_host_running(&**name) {
            stage.sim.bounce(&**name);
        }
    }
}
