//! What a load runs against, and whether this machine can generate it.

use super::Load;
use anyhow::Context;
use loadgen::{Against, DataFolder, Fit, Processes, System};
use scenarios::Scenario;
use std::path::Path;

impl Load {
    /// Whether the cluster is started here: otherwise it is there, or the lead starts it.
    pub(super) fn starts_cluster(&self) -> bool {
        self.target.is_empty() && !self.agents.is_led()
    }

    /// What it runs against: a cluster that is started with its data in a folder, or the targets.
    pub(super) fn against(&self, data: Option<&Path>) -> anyhow::Result<Against> {
        let Some(data) = data else {
            let is_given = !self.target.is_empty();
            return Ok(if is_given {
                Against::Given(self.target.clone())
            } else {
                Against::Joined
            });
        };
        let binary = std::env::current_exe().context("cannot find the path of this program")?;
        Ok(Against::Started { binary, processes: self.processes(), data: data.to_owned() })
    }

    /// Compares what the scenario needs with what this machine has; an error (status 2: nothing can be
    /// said of any cluster) if it cannot work at all.
    pub(super) fn fit(&self, scenario: &Scenario) -> anyhow::Result<Fit> {
        let data = self.starts_cluster().then(|| DataFolder::place(self.out.as_deref()));
        let against = self.against(data.as_deref())?;
        let share = self.agents.share(self.target.is_empty());
        let fit = loadgen::fit(scenario, &against, &System::here(data.as_deref()), share);
        if fit.impossible.is_empty() {
            return Ok(fit);
        }
        let why = fit.impossible.join("\n  ");
        anyhow::bail!("this machine cannot generate the load of {}:\n  {why}", scenario.name)
    }

    fn processes(&self) -> Processes {
        if self.one_process { Processes::One } else { Processes::EachNode(self.engines.chosen()) }
    }
}
