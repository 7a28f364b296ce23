//! Opening a scenario file, with every mistake shown at once.

use crate::InvalidUsage;
use scenarios::{Override, Scenario};
use std::path::{Path, PathBuf};

/// A scenario file with the overrides of a command line.
#[derive(Clone, Debug)]
pub struct Opening {
    /// The scenario file.
    pub scenario: PathBuf,
    /// `KEY=VALUE`; several values (`cluster.gateways=2,4`) make several runs.
    pub overrides: Vec<String>,
}

/// A scenario that is ready to run, with the overrides that made it.
pub struct Opened {
    /// The validated scenario.
    pub scenario: Scenario,
    /// The overrides, as they are given on a command line.
    pub overrides: Vec<String>,
    /// Its values of the keys that have several ([`Opening::keys`]).
    pub values: Vec<String>,
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
    ///
    /// # Errors
    /// All mistakes of the file and of the overrides.
    pub fn open(&self, seed: u64) -> Result<Vec<Opened>, InvalidUsage> {
        let path = self.scenario.display().to_string();
        let text = std::fs::read_to_string(&self.scenario)
            .map_err(|error| InvalidUsage(format!("cannot read {path}: {error}{}", self.hint())))?;
        let overrides = self.parsed()?;
        let keys = several(&overrides);
        scenarios::sweep(&overrides)
            .into_iter()
            .map(|set| {
                let scenarios::Drawn { scenario, lots } =
                    scenarios::parse_with_seed(&text, &path, &set, seed).map_err(|mistakes| {
                        InvalidUsage(format!("{path} is not a valid scenario\n{mistakes}"))
                    })?;
                let overrides = set.iter().map(ToString::to_string).collect();
                let swept = set.iter().filter(|one| keys.iter().any(|key| key == one.key()));
                let values = swept.map(|one| one.values().join(",")).collect();
                Ok(Opened { scenario, overrides, values, lots })
            })
            .collect()
    }

    /// The keys that have several values: those of a sweep.
    ///
    /// # Errors
    /// An override that cannot be understood.
    pub fn keys(&self) -> Result<Vec<String>, InvalidUsage> {
        Ok(several(&self.parsed()?))
    }

    fn parsed(&self) -> Result<Vec<Override>, InvalidUsage> {
        let overrides = self.overrides.iter().map(|given| Override::parse(given));
        overrides.collect::<Result<_, _>>().map_err(|error| InvalidUsage(error.to_string()))
    }

    /// The only scenario, with the draws of a seed; several values of an override are invalid here.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_one(&self, seed: u64) -> Result<Opened, InvalidUsage> {
        let mut opened = self.open(seed)?;
        if opened.len() > 1 {
            return Err(InvalidUsage("this command takes one value per --set".to_owned()));
        }
        Ok(opened.pop().expect("a sweep has at least one run"))
    }

    /// The scenarios inside of a folder, or beside a file that is missing, the nearest one first.
    fn hint(&self) -> String {
        if self.scenario.is_dir() {
            let inside = scenarios_in(&self.scenario);
            let all = inside.join(", ");
            return if all.is_empty() { String::new() } else { format!("; it contains {all}") };
        }
        let folder = match self.scenario.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let name = self.scenario.file_name().unwrap_or_default().to_string_lossy();
        beside(&name, &scenarios_in(folder))
    }
}

fn several(overrides: &[Override]) -> Vec<String> {
    let swept = overrides.iter().filter(|given| given.values().len() > 1);
    swept.map(|given| given.key().to_owned()).collect()
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
        Some(meant) => format!("; did you mean {meant}? (this folder has {all})"),
        None => format!("; this folder has {all}"),
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
        assert!(
            safety.starts_with("; it contains ") && safety.contains(", smoke.toml, "),
            "{safety}"
        );
        assert!(hint(".").contains(", safety/smoke.toml, "), "{}", hint("."));
        assert_eq!(hint("src"), "");
    }

    #[test]
    fn a_misspelt_name_gets_the_nearest_one_first() {
        for near in ["safety/smok.toml", "safety/smoke", "safety/Smoke.toml"] {
            let hint = hint(near);
            assert!(
                hint.starts_with("; did you mean smoke.toml? (this folder has "),
                "{near}: {hint}"
            );
        }
        let far = hint("safety/something-quite-different.toml");
        assert!(far.starts_with("; this folder has ") && far.contains("smoke.toml"), "{far}");
        assert_eq!(hint("no/such/folder.toml"), "");
    }
}
