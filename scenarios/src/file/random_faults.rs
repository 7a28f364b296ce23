//! `[random_faults]`: what goes wrong at random, by seed.

use super::load::positive;
use super::targets::NO_DATABASE;
use crate::scenario::{self, ClusterShape, Role};
use crate::value::time::DurationRange;
use crate::value::word::FaultWord;
use settings::mistake::Mistakes;
use settings::section;
use settings::section::Field;
use settings::value::TextForm;
use std::time::Duration;

section! {
    /// Random fault episodes, by seed. Each seed enables some of the kinds (swarm testing).
    RandomFaults {
        /// Mean time between the beginnings of two episodes.
        every: Duration,
        /// How long an episode lasts.
        r#for: DurationRange,
        /// The kinds to draw from.
        kinds: Vec<FaultWord>,
        /// The roles that they hit; for a link fault, at least one side.
        roles: Vec<Role> = Role::EVERYWHERE.to_vec(),
        /// How long the load runs without random faults first: the baseline of the recovery.
        lead: Duration = Duration::from_secs(5),
    }
}

impl RandomFaults {
    /// The validated section.
    pub fn validated(
        &self,
        cluster: Option<&ClusterShape>,
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
        let roles = self.roles.get().filter(|roles| self.roles_fit(roles, cluster, mistakes));
        let faults = scenario::RandomFaults {
            lead: self.lead.get()?,
            roles: roles?,
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
        let lead = self.lead.get().unwrap_or_default();
        let fits = !lasts.0.is_zero() && lasts.1 <= load.saturating_sub(lead);
        if !fits {
            let [lead, load] = [lead, load].map(|time| time.text());
            let what = format!(
                "an episode must be longer than zero and end within the load: lead takes {lead} of {load}"
            );
            self.r#for.conflict(mistakes, what);
        }
        fits
    }

    fn roles_fit(
        &self,
        roles: &[Role],
        cluster: Option<&ClusterShape>,
        mistakes: &mut Mistakes,
    ) -> bool {
        if roles.is_empty() {
            self.roles.conflict(mistakes, "there must be at least one role".into());
        }
        let mut fit = !roles.is_empty();
        let is_missing = |role: &&Role| cluster.is_some_and(|cluster| cluster.nodes(**role) == 0);
        if let Some(role) = roles.iter().find(is_missing) {
            let what = format!("there is no {}: {NO_DATABASE}", role.word());
            self.roles.conflict(mistakes, what);
            fit = false;
        }
        for kind in self.kinds.get().unwrap_or_default() {
            // The reason of the first, if there is one for each.
            let mut spared = roles.iter().map(|role| kind.spares(*role));
            let first = spared.next().flatten().filter(|_| spared.all(|why| why.is_some()));
            if let Some(why) = first.filter(|_| fit) {
                let what = format!("a {} cannot hit any of them: {why}", kind.text());
                self.roles.conflict(mistakes, what);
                fit = false;
            }
        }
        fit
    }
}

impl From<&scenario::RandomFaults> for RandomFaults {
    fn from(faults: &scenario::RandomFaults) -> Self {
        let kinds = faults.kinds.iter().filter_map(|kind| FaultWord::from_text(kind)).collect();
        Self {
            every: Field::of(faults.every),
            r#for: Field::of(DurationRange(faults.lasts_min, faults.lasts_max)),
            kinds: Field::of(kinds),
            roles: Field::of(faults.roles.clone()),
            lead: Field::of(faults.lead),
        }
    }
}
