//! Opening a scenario file, with every mistake shown at once.

use anyhow::Context;
use clap::Args;
use scenarios::{Override, Scenario};
use std::fmt;
use std::path::{Path, PathBuf};

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
            .map_err(|error| WrongUse(format!("cannot read {path}: {error}{}", self.hint())))?;
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

    /// The scenarios inside of a folder, or beside a file that is missing, the nearest one first.
    fn hint(&self) -> String {
        if self.scenario.is_dir() {
            let inside = scenarios_in(&self.scenario);
            let all = inside.join(", ");
            return if all.is_empty() { String::new() } else { format!("; it has {all}") };
        }
        let folder = match self.scenario.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let name = self.scenario.file_name().unwrap_or_default().to_string_lossy();
        beside(&name, &scenarios_in(folder))
    }
}

/// What may have been meant by a name, among the names that are there.
fn beside(name: &str, there: &[String]) -> String {
    if there.is_empty() {
        return String::new();
    }
    let all = there.join(", ");
    // What is left out is seldom the ending.
    let meant = |name: &str| scenarios::nearest(name, there.iter().map(String::as_str));
    match meant(name).or_else(|| meant(&format!("{name}.toml"))) {
        Some(meant) => format!("; did you mean {meant}? (here are {all})"),
        None => format!("; here are {all}"),
    }
}

/// The files of a folder that may be scenarios, and those one folder deeper.
fn scenarios_in(folder: &Path) -> Vec<String> {
    let names = |folder: &Path| -> Vec<PathBuf> {
        let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
        files.map(|file| file.path()).collect()
    };
    let is_toml = |path: &PathBuf| path.extension().is_some_and(|e| e == "toml");
    let deeper = names(folder).into_iter().filter(|path| path.is_dir());
    let all = names(folder).into_iter().chain(deeper.flat_map(|path| names(&path)));
    let mut names: Vec<String> = all
        .filter(is_toml)
        .filter_map(|path| Some(path.strip_prefix(folder).ok()?.display().to_string()))
        .filter(|name| name != "Cargo.toml")
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint(scenario: &str) -> String {
        let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios").join(scenario);
        Opening { scenario, overrides: Vec::new() }.hint()
    }

    #[test]
    fn a_folder_names_the_scenarios_inside() {
        let safety = hint("safety");
        assert!(safety.starts_with("; it has ") && safety.contains(", smoke.toml, "), "{safety}");
        assert!(hint(".").contains(", safety/smoke.toml, "), "{}", hint("."));
        assert_eq!(hint("src"), "");
    }

    #[test]
    fn a_misspelt_name_gets_the_nearest_one_first() {
        for near in ["safety/smok.toml", "safety/smoke", "safety/Smoke.toml"] {
            let hint = hint(near);
            assert!(hint.starts_with("; did you mean smoke.toml? (here are "), "{near}: {hint}");
        }
        let far = hint("safety/something-quite-different.toml");
        assert!(far.starts_with("; here are ") && far.contains("smoke.toml"), "{far}");
        assert_eq!(hint("no/such/folder.toml"), "");
    }
}
