//! A scenario on the command line.

use campaign::Opening;
use clap::Args;
use std::path::PathBuf;

/// For a command that makes a run of every combination.
#[derive(Clone, Debug, Args)]
pub struct SweepArguments {
    /// A scenario file, or the name of a scenario of the library (`fracas scenarios`); a file of that name
    /// wins.
    pub scenario: PathBuf,
    /// Override a key of the scenario: `design.accept=before_persist`. Several values
    /// (`cluster.gateways=2,4`) make one run each.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
}

/// For a command that makes one run.
#[derive(Clone, Debug, Args)]
pub struct ScenarioArguments {
    /// A scenario file, or the name of a scenario of the library (`fracas scenarios`); a file of that name
    /// wins.
    pub scenario: PathBuf,
    /// Override a key of the scenario: `design.accept=before_persist`. One value per key:
    /// `run`, `load` and `explore` take several.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
}

impl From<&SweepArguments> for Opening {
    fn from(given: &SweepArguments) -> Self {
        Self { scenario: given.scenario.clone(), overrides: given.overrides.clone() }
    }
}

impl From<&ScenarioArguments> for Opening {
    fn from(given: &ScenarioArguments) -> Self {
        Self { scenario: given.scenario.clone(), overrides: given.overrides.clone() }
    }
}
