//! `full_disk`: nothing can be written to a node's disk until there is room again. What is on it can be
//! read, whoever runs on it.

use super::{Active, Stage};

/// The disks are full.
pub fn begin(fault: &Active, stage: &mut Stage<'_, '_>) {
    for name in &fault.hosts {
        stage.hosts.get(name).disk.fill(fault.id);
    }
}

/// There is room again, unless another fault fills it; the effect is what was refused.
pub fn end(fault: &mut Active, stage: &mut Stage<'_, '_>) {
    for name in &fault.hosts {
        fault.effect += stage.hosts.get(name).disk.free(fault.id);
    }
}
