//! `skew`: the wall clock is off, and may drift. Timers stay true.

use super::{Active, Stage};
use crate::machine::clock::Error;

/// The clocks jump.
pub fn begin(fault: &Active, stage: &mut Stage<'_, '_>, offset_ms: i64, drift_ppm: i64) {
    let error = Error { offset_ms, drift_ppm, since: stage.now };
    for name in &fault.hosts {
        stage.hosts.get(name).clock.begin(fault.id, error);
    }
}

/// The clocks jump back; the effect is how often a wrong clock was read.
pub fn end(fault: &mut Active, stage: &mut Stage<'_, '_>) {
    for name in &fault.hosts {
        fault.effect += stage.hosts.get(name).clock.end(fault.id);
    }
}
