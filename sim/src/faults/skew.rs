//! `skew`: the wall clock is off, and may drift. Timers stay true.

use super::{Active, Stage};

/// The clocks jump.
pub fn begin(fault: &Active, stage: &mut Stage<'_, '_>, offset_ms: i64, drift_ppm: i64) {
    for name in &fault.hosts {
        stage.hosts.get(name).skew.set(offset_ms, drift_ppm, stage.now);
    }
}

/// The clocks jump back; the effect is how often a wrong clock was read.
pub fn end(fault: &mut Active, stage: &mut Stage<'_, '_>) {
    for name in &fault.hosts {
        fault.effect += stage.hosts.get(name).skew.set(0, 0, stage.now);
    }
}
