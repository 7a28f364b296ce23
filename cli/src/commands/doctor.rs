//! `fracas doctor`: whether this machine can carry a scenario's load, and what to set.

use super::on_engines::EngineArguments;
use crate::console;
use crate::scenario_arguments::ScenarioArguments;
use crate::whole::whole;
use campaign::Opening;
use clap::Args;
use loadgen::{Against, DataFolder, Grade, Processes, Share, doctor};
use std::path::PathBuf;

/// Check the limits of this machine against what a scenario's load needs.
///
/// Exit status: 0 there is enough of everything, 1 something is short or cannot work, 64 invalid usage.
#[derive(Debug, Args)]
pub struct Doctor {
    #[command(flatten)]
    opening: ScenarioArguments,
    /// A gateway of a running cluster, as of `load`; without this, for a cluster on this machine.
    #[arg(long, value_name = "HOST:PORT")]
    target: Vec<String>,
    #[command(flatten)]
    engines: EngineArguments,
    /// So many generators on this machine, as of `load`.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = whole(1..=999_u32))]
    agents: u32,
    /// Where the cluster's data would go, as of `load`.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Doctor {
    /// Prints a line for each limit, and how far the machine reaches.
    pub fn execute(self) -> anyhow::Result<u8> {
        let scenario = Opening::from(&self.opening).open_one(1)?.scenario;
        let data = self.target.is_empty().then(|| DataFolder::place(self.out.as_deref()));
        let against = match &data {
            Some(data) => {
                self.engines.check(&scenario)?;
                let processes = Processes::EachNode(self.engines.chosen());
                let binary = PathBuf::new();
                Against::Started { binary, processes, data: data.clone() }
            }
            None => Against::Given(self.target),
        };
        let gateways = against.gateways(&scenario);
        let system = loadgen::System::here(data.as_deref());
        let share = Share { number: 0, of: self.agents, here: self.agents };
        let (needs, checks) = doctor::examine(&scenario, &against, &system, share);
        console::result(&format!(
            "{}: {} sessions over {} connections, {gateways} gateways, {} slices of users",
            scenario.name, needs.sessions, needs.connections, needs.slices
        ));
        let width = checks.iter().map(|check| check.what.len()).max().unwrap_or(0);
        for check in &checks {
            let (sign, remedy) = match check.grade() {
                Grade::Enough => ("✓", String::new()),
                Grade::Short => ("?", format!("  short; {}", check.remedy)),
                Grade::Impossible => ("✗", format!("  cannot work; {}", check.remedy)),
            };
            console::result(&format!(
                " {sign} {:width$}  {:>9} of {:>9}{remedy}",
                check.what, check.at_ease, check.there
            ));
        }
        if let Some((what, reached)) = doctor::reach(&checks) {
            console::result(&format!(
                "Without any change this machine reaches about {reached} sessions of this kind; then \
                 it runs out of: {what}."
            ));
        }
        Ok(u8::from(checks.iter().any(|check| check.grade() > Grade::Enough)))
    }
}
