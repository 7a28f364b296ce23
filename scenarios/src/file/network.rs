//! `[network]`: the simulated network and disks, when nothing is wrong.

use super::load::positive;
use crate::scenario::NetworkShape;
use crate::value::time::DurationRange;
use settings::mistake::Mistakes;
use settings::section;
use settings::section::Field;
use std::time::Duration;

section! {
    /// The simulated network and disks in the absence of faults. Real runs use the real ones.
    Network {
        /// Latency of a link, one way.
        latency: DurationRange = DurationRange(Duration::from_micros(500), Duration::from_millis(2)),
        /// The simulator's time step: 1ms to look for protocol bugs, 5ms to 10ms for load.
        tick: Duration = Duration::from_millis(1),
        /// Latency of a synced write.
        disk_sync: Duration = Duration::from_millis(1),
    }
}

/// A coarser step would be longer than the deadlines of the cluster's links.
const COARSEST_TICK: Duration = Duration::from_millis(100);

impl Network {
    /// The validated section.
    pub fn validated(&self, mistakes: &mut Mistakes) -> Option<NetworkShape> {
        let tick = self.tick.get().filter(|_| positive(&self.tick, mistakes));
        let tick = tick.filter(|&tick| {
            if tick > COARSEST_TICK {
                self.tick.conflict(mistakes, "steps are at most 100ms".into());
            }
            tick <= COARSEST_TICK
        });
        let DurationRange(latency_min, latency_max) = self.latency.get()?;
        Some(NetworkShape {
            latency_min,
            latency_max,
            tick: tick?,
            disk_sync: self.disk_sync.get()?,
        })
    }
}

impl From<&NetworkShape> for Network {
    fn from(shape: &NetworkShape) -> Self {
        Self {
            latency: Field::of(DurationRange(shape.latency_min, shape.latency_max)),
            tick: Field::of(shape.tick),
            disk_sync: Field::of(shape.disk_sync),
        }
    }
}
