//! A cluster that stands on engines outside of it.

use crate::commands::engine::EngineName;
use campaign::InvalidUsage;
use clap::{Args, ValueEnum};
use loadgen::Engines;
use protocol::StoreEngine;
use scenarios::Scenario;

/// Which engines are started with the cluster.
#[derive(Debug, Default, Args)]
pub struct EngineArguments {
    /// Start the cluster on these engines instead of its own: private servers on this machine, installed if
    /// they are missing and this user may.
    #[arg(long, value_delimiter = ',', value_name = "ENGINE", conflicts_with_all = ["target", "one_process"])]
    engines: Vec<EngineName>,
}

impl EngineArguments {
    /// What they come to.
    pub fn chosen(&self) -> Engines {
        Engines { rabbitmq: self.engines.contains(&EngineName::Rabbitmq) }
    }

    /// As they are written.
    pub fn words(&self) -> Option<String> {
        let words = self.engines.iter().filter_map(EngineName::to_possible_value);
        let words: Vec<String> = words.map(|word| word.get_name().to_owned()).collect();
        (!words.is_empty()).then(|| words.join(","))
    }

    /// A cluster that is started has no engine that its stores could share.
    pub fn check(scenario: &Scenario) -> Result<(), InvalidUsage> {
        if scenario.cluster.engine != StoreEngine::Shared {
            return Ok(());
        }
        let why = "cluster.engine = \"shared\" is for simulated runs: --set cluster.engine=redb";
        Err(InvalidUsage(why.to_owned()))
    }
}
