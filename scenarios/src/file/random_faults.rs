//! `[random_faults]`: what goes wrong at random, by seed.

use super::load::positive;
use crate::mistake::Mistakes;
use crate::scenario;
use crate::section::{Field, section};
use crate::value::TextForm;
use crate::value::time::DurationRange;
use crate::value::word::FaultWord;
use std::time::Duration;

section! {
    /// Episodes at random, by seed. Each seed enables some of the kinds (swarm testing).
    RandomFaults {
        /// Mean time between the beginnings of two episodes.
        every: Duration,
        /// How long an episode lasts.
        r#for: DurationRange,
        /// The kinds to draw from.
        kinds: Vec<FaultWord>,
    }
}

impl RandomFaults {
    /// The validated section.
    pub fn validated(
        &self,
        load: Option<&scenario::Load>,
        mistakes: &mut Mistakes,
    ) -> Option<scenario::RandomFaults> {
        let every_fits = positive(&self.every, mistakes);
        let kinds = self.kinds.get().filter(|kinds| {
            if kinds.is_empty() {
                self.kinds.conflict(mistakes, "there must be at least one kind".into());
            }
            !kinds.is_empty()
        });
        let lasts = self.r#for.get().filter(|lasts| self.lasts_fit(*lasts, load, mistakes));
        let faults = scenario::RandomFaults {
            every: self.every.get()?,
            lasts_min: lasts?.0,
            lasts_max: lasts?.1,
            kinds: kinds?.iter().map(TextForm::text).collect(),
        };
        every_fits.then_some(faults)
    }

    fn lasts_fit(
        &self,
        lasts: DurationRange,
        load: Option<&scenario::Load>,
        mistakes: &mut Mistakes,
    ) -> bool {
        let load = load.map_or(Duration::MAX, scenario::Load::lasts);
        let fits = !lasts.0.is_zero() && lasts.1 <= load;
        if !fits {
            let what =
                "an episode lasts longer than nothing and at most as long as the load".into();
            self.r#for.conflict(mistakes, what);
        }
        fits
    }
}

impl From<&scenario::RandomFaults> for RandomFaults {
    fn from(faults: &scenario::RandomFaults) -> Self {
        let kinds = faults.kinds.iter().filter_map(|kind| FaultWord::from_text(kind)).collect();
        Self {
            every: Field::of(faults.every),
            r#for: Field::of(DurationRange(faults.lasts_min, faults.lasts_max)),
            kinds: Field::of(kinds),
        }
    }
}
