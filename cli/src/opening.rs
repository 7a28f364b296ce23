//! Opening a scenario file, with every mistake shown at once.

use anyhow::Context;
use clap::Args;
use scenarios::{Override, Scenario};
use std::fmt;
use std::path::PathBuf;

/// Wrong usage or a wrong scenario file: exit status 64.
#[derive(Debug)]
pub struct WrongUse(pub String);

impl fmt::Display for WrongUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for WrongUse {}

/// What to make of a node that did not run.
pub fn not_run(error: node::NodeError) -> anyhow::Error {
    let is_wrong_use = error.is_wrong_use();
    let error = anyhow::Error::from(error);
    if is_wrong_use { WrongUse(format!("{error:#}")).into() } else { error }
}

/// A scenario on the command line.
#[derive(Clone, Debug, Args)]
pub struct Opening {
    /// The scenario file.
    pub scenario: PathBuf,
    /// Another value for a key of the file: `design.accept=before_persist`. Several values
    /// (`cluster.gateways=2,4`) make several runs.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
}

/// A scenario on the command line of a command that makes one run.
#[derive(Clone, Debug, Args)]
pub struct OpeningOfOne {
    /// The scenario file.
    pub scenario: PathBuf,
    /// Another value for a key of the file: `design.accept=before_persist`. One value per key: only
    /// `fracas run` makes several runs of several values.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
}

impl OpeningOfOne {
    /// The only scenario, with the draws of a seed; several values of an override are wrong here.
    pub fn open(&self, seed: u64) -> anyhow::Result<Opened> {
        let (scenario, overrides) = (self.scenario.clone(), self.overrides.clone());
        let mut opened = Opening { scenario, overrides }.open(seed)?;
        if opened.len() > 1 {
            return Err(WrongUse("this command takes one value per --set".to_owned()).into());
        }
        opened.pop().context("a sweep has at least one run")
    }
}

/// A scenario that is ready to run, with the overrides that made it.
pub struct Opened {
    /// The validated scenario.
    pub scenario: Scenario,
    /// The overrides, as they are given on a command line.
    pub overrides: Vec<String>,
    /// What the scenario leaves to the seed, and what it has drawn.
    lots: Vec<String>,
}

impl Opened {
    /// What was drawn, in a sentence; `None` if the scenario leaves nothing to the seed.
    pub fn drawn(&self) -> Option<String> {
        (!self.lots.is_empty()).then(|| format!("drawn by this seed: {}", self.lots.join(", ")))
    }
}

impl Opening {
    /// One scenario per combination of the overrides' values, with the draws of a seed.
    pub fn open(&self, seed: u64) -> anyhow::Result<Vec<Opened>> {
        let path = self.scenario.display().to_string();
        let text = std::fs::read_to_string(&self.scenario)
            .map_err(|error| WrongUse(format!("cannot read {path}: {error}{}", self.nearest())))?;
        let overrides: Vec<Override> = self
            .overrides
            .iter()
            .map(|given| Override::parse(given))
            .collect::<Result<_, _>>()
            .map_err(|error| WrongUse(error.to_string()))?;
        scenarios::sweep(&overrides)
            .into_iter()
            .map(|set| {
                let scenarios::Drawn { scenario, lots } =
                    scenarios::parse_with_seed(&text, &path, &set, seed).map_err(|mistakes| {
                        WrongUse(format!("{path} cannot be run\n{mistakes}"))
                    })?;
                let overrides = set.iter().map(ToString::to_string).collect();
                Ok(Opened { scenario, overrides, lots })
            })
            .collect()
    }

    /// The files beside the one that is missing.
    fn nearest(&self) -> String {
        let folder = self.scenario.parent().filter(|parent| parent.is_dir());
        let Some(files) = folder.and_then(|folder| std::fs::read_dir(folder).ok()) else {
            return String::new();
        };
        let mut names: Vec<String> = files
            .filter_map(Result::ok)
            .map(|file| file.file_name().to_string_lossy().into_owned())
            .filter(|name| std::path::Path::new(name).extension().is_some_and(|e| e == "toml"))
            .collect();
        names.sort();
        if names.is_empty() { String::new() } else { format!("; here are {}", names.join(", ")) }
    }
}
