//! `pause`: a process stops for a while and goes on, unaware: the classic stale owner.

use super::{Active, Stage};

/// The processes stop.
pub fn begin(fault: &Active, stage: &mut Stage<'_, '_>) {
    for name in &fault.hosts {
        stage.hosts.get(name).gate.close(fault.id);
    }
}

/// The processes go on, unless another pause holds them.
pub fn end(fault: &mut Active, stage: &mut Stage<'_, '_>) {
    for name in &fault.hosts {
        fault.effect += stage.hosts.get(name).gate.open(fault.id);
    }
}
