//! `[phases]`: how long a run takes beside its load.

use super::load::positive;
use crate::scenario::PhaseLengths;
use settings::mistake::Mistakes;
use settings::section;
use settings::section::Field;
use std::time::Duration;

section! {
    /// How long each phase takes; the load takes as long as its own phases.
    Phases {
        /// Everybody connects, and nothing else happens.
        warm_up: Duration = Duration::from_secs(3),
        /// After the last fault, the load continues at its last rate.
        heal: Duration = Duration::from_secs(8),
        /// No new load: what is in flight arrives. At least as long as the longest deadline.
        settle: Duration = Duration::from_secs(20),
    }
}

impl Phases {
    /// The validated section.
    pub fn validated(&self, mistakes: &mut Mistakes) -> Option<PhaseLengths> {
        let fit = [&self.warm_up, &self.heal, &self.settle].map(|phase| positive(phase, mistakes));
        let phases = PhaseLengths {
            warm_up: self.warm_up.get()?,
            heal: self.heal.get()?,
            settle: self.settle.get()?,
        };
        (fit == [true; 3]).then_some(phases)
    }
}

impl From<&PhaseLengths> for Phases {
    fn from(phases: &PhaseLengths) -> Self {
        Self {
            warm_up: Field::of(phases.warm_up),
            heal: Field::of(phases.heal),
            settle: Field::of(phases.settle),
        }
    }
}
