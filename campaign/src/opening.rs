//! Opening a scenario, with every mistake shown at once.

use crate::InvalidUsage;
use crate::lookup::scenario_text;
use scenarios::scenario::Try;
use scenarios::shell::quoted;
use scenarios::{Mistake, Mistakes, Origin, Override, Scenario};
use std::path::PathBuf;

/// A scenario with the overrides of a command line.
#[derive(Clone, Debug)]
pub struct Opening {
    /// The scenario file, or the name of a scenario of the library.
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
    /// Which of the scenario's tries these overrides are, if they are one.
    pub tried: Option<Try>,
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

    /// What a reader should know before the run: what was drawn, and which invariants will judge nothing.
    pub fn notes(&self) -> Vec<String> {
        self.drawn().into_iter().chain(scenarios::idle(&self.scenario)).collect()
    }
}

impl Opening {
    /// One scenario per combination of the overrides' values, with the draws of a seed.
    ///
    /// # Errors
    /// All mistakes of the file and of the overrides.
    pub fn open(&self, seed: u64) -> Result<Vec<Opened>, InvalidUsage> {
        let path = self.scenario.display().to_string();
        let text = scenario_text(&self.scenario)?;
        let overrides = self.parsed()?;
        let keys = several(&overrides);
        let (mut opened, mut mistaken) = (Vec::new(), Vec::new());
        for set in scenarios::sweep(&overrides) {
            match scenarios::parse_with_seed(&text, &path, &set, seed) {
                Ok(scenarios::Drawn { scenario, lots }) => {
                    let overrides: Vec<String> = set.iter().map(ToString::to_string).collect();
                    let is_this = |one: &&Try| one.is_made_by(seed, &overrides);
                    let tried = scenario.tries.iter().find(is_this).cloned();
                    let swept = set.iter().filter(|one| keys.iter().any(|key| key == one.key()));
                    let values = swept.map(|one| one.values().join(",")).collect();
                    opened.push(Opened { scenario, overrides, tried, values, lots });
                }
                Err(mistakes) => {
                    let told = told(&path, &text, &set, seed, &mistakes);
                    if !mistaken.contains(&told) {
                        mistaken.push(told);
                    }
                }
            }
        }
        if mistaken.is_empty() { Ok(opened) } else { Err(InvalidUsage(mistaken.join("\n"))) }
    }

    /// The keys that have several values: those of a sweep.
    ///
    /// # Errors
    /// An override that cannot be understood.
    pub fn keys(&self) -> Result<Vec<String>, InvalidUsage> {
        Ok(several(&self.parsed()?))
    }

    fn parsed(&self) -> Result<Vec<Override>, InvalidUsage> {
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        for given in &self.overrides {
            match Override::parse(given) {
                Ok(one) => good.push(one),
                Err(error) => bad.push(error.to_string()),
            }
        }
        if bad.is_empty() { Ok(good) } else { Err(InvalidUsage(bad.join("\n"))) }
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
}

fn several(overrides: &[Override]) -> Vec<String> {
    let swept = overrides.iter().filter(|given| given.values().len() > 1);
    swept.map(|given| given.key().to_owned()).collect()
}

/// The mistakes of a scenario. Those that are not at a `--set` but come from some are told with them.
fn told(path: &str, text: &str, set: &[Override], seed: u64, mistakes: &Mistakes) -> String {
    let mistake_at_set = |mistake: &Mistake| matches!(mistake.origin, Origin::Set(_));
    let is_wrong = |set: &[Override]| scenarios::parse_with_seed(text, path, set, seed).is_err();
    let guilty = if mistakes.list().iter().all(mistake_at_set) || is_wrong(&[]) {
        Vec::new()
    } else {
        let alone = set.iter().filter(|one| is_wrong(std::slice::from_ref(one)));
        let alone: Vec<&Override> = alone.collect();
        // What is good alone is wrong together.
        if alone.is_empty() { set.iter().collect() } else { alone }
    };
    let sets = guilty.iter().map(|one| format!(" --set {}", quoted(&one.to_string())));
    let sets = sets.collect::<Vec<_>>().concat();
    let with = if sets.is_empty() { "" } else { " with" };
    format!("{path} is not a valid scenario{with}{sets}\n{mistakes}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(overrides: &[&str]) -> String {
        let overrides = overrides.iter().map(|&set| set.to_owned()).collect();
        let opening = Opening { scenario: "smoke".into(), overrides };
        opening.open(1).err().expect("it is wrong").0
    }

    /// What the scenario is not valid with, of each time that it is not.
    fn wrong_with(overrides: &[&str]) -> Vec<String> {
        let told = wrong(overrides);
        let with =
            told.lines().filter_map(|line| line.strip_prefix("smoke is not a valid scenario"));
        with.map(|sets| sets.trim_start_matches(" with ").to_owned()).collect()
    }

    #[test]
    fn of_several_overrides_those_that_are_wrong_are_told() {
        let with = wrong_with(&["users.count=40", "phases.settle=3s,30s", "users.devices=1,2"]);
        assert_eq!(with, ["--set phases.settle=3s"]);
        let together = ["load.phases.1.for=12s", "fault.3.for=3s"];
        let with = wrong_with(&together);
        assert_eq!(with, ["--set load.phases.1.for=12s --set fault.3.for=3s"]);
        // A mistake at a `--set` says so itself.
        assert_eq!(wrong_with(&["cluster.gateways=99,2", "users.count=30,40"]), [""]);
    }

    #[test]
    fn what_all_values_have_is_told_once() {
        let told = wrong(&["users.count=30,40", "cluster.gatways=3"]);
        let expected = "smoke is not a valid scenario\n--set cluster.gatways=3: unknown key \
                        \"gatways\" in [cluster]; did you mean \"gateways\"?";
        assert_eq!(told, expected);
    }

    #[test]
    fn every_override_that_cannot_be_understood_is_told() {
        let told = wrong(&["users.count", "users.devices=2", "a..b=1", "users.count=30,,40"]);
        assert_eq!(told.lines().count(), 3, "{told}");
        assert!(told.contains("--set users.count=30,,40: value 2 of 3 is empty"), "{told}");
    }
}
