//! Several scenarios, or several seeds: a process for each run.

use super::Load;
use crate::commands::explore::{Told, explored};
use crate::scenario_arguments::SweepArguments;
use campaign::InvalidUsage;
use campaign::explore::{Explore, World};
use std::path::PathBuf;

impl Load {
    pub(super) fn is_many(&self) -> bool {
        !self.further.is_empty() || self.seeds != 1
    }

    /// Makes all runs; the status of the worst.
    pub(super) fn many(self) -> anyhow::Result<u8> {
        self.suits_many()?;
        let world = World::Real(self.options());
        let scenarios: Vec<PathBuf> =
            std::iter::once(&self.opening.scenario).chain(&self.further).cloned().collect();
        let wanted = Explore {
            scenarios: scenarios.clone(),
            overrides: self.opening.overrides.clone(),
            from: self.seed,
            seeds: self.seeds,
            within: None,
            jobs: self.jobs,
            until_caught: false,
            out: self.out.clone(),
            world,
        }
        .checked()?;
        let (out, json, quiet) = (self.out.clone(), self.json, self.quiet);
        let overrides = self.opening.overrides.clone();
        let mut each = self;
        for scenario in scenarios {
            each.opening = SweepArguments { scenario, overrides: overrides.clone() };
            each.opened()?;
        }
        explored(&wanted, &Told { out: out.as_deref(), junit: None, json, quiet })
    }

    /// What is for a single run is refused.
    fn suits_many(&self) -> Result<(), InvalidUsage> {
        let for_one = [
            (!self.target.is_empty(), "--target: a cluster is fresh for one run only"),
            (self.agents.agent.is_some(), "--agent: a run is shared between agents"),
            (self.metrics.is_some(), "--metrics: each run would serve its own numbers"),
        ];
        match for_one.iter().find(|(given, _)| *given) {
            Some((_, why)) => Err(InvalidUsage(format!("{why}: one scenario and one seed"))),
            None => Ok(()),
        }
    }
}
