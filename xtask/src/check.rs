//! Every step that a change must pass, in the order in which it fails fastest.

use crate::repository::root;
use crate::{asserting, cargo_program, examples, say, tidy};
use anyhow::Context;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Folders of scenarios that hold for every seed.
const SAFETY: [&str; 2] = ["scenarios/safety", "scenarios/faults"];
/// Seeds of each of them: a few, so that a change gets its answer soon; their tries are further runs of them.
const SEEDS: &str = "2";
/// Of the swarm more: each seed is another cluster, with other faults.
const SWARM: &str = "scenarios/safety/swarm.toml";
const SWARM_SEEDS: &str = "40";
/// Loads that are small enough to be simulated: their tries are made as well. Those of the others take real sockets,
/// or minutes; that they can be run at all is a test of `campaign`.
const LOADS: [&str; 4] = [
    "scenarios/load/every-role-killed.toml",
    "scenarios/load/killed-at-full-speed.toml",
    "scenarios/load/knee.toml",
    "scenarios/load/thousand-users.toml",
];

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    /// Runs cargo.
    Cargo(&'static [&'static str]),
    /// Runs cargo with warnings of the documentation as errors.
    CargoDoc(&'static [&'static str]),
    /// Checks the rules of the house.
    Tidy,
    /// Builds what the steps after it run.
    Build,
    /// Runs the examples of the documentation.
    Examples,
    /// Runs a few seeds in two processes each, and compares them.
    Twin,
    /// Runs every safety scenario with a few seeds.
    Safety,
    /// Runs the swarm with more.
    Swarm,
    /// Makes every try of the safety scenarios and of small loads, bad design choices among them, and sees what comes of
    /// it.
    Tries,
}

/// What is run in two processes: something quick, what loses unsynced writes, and every kind of fault.
const TWINS: [(&str, &str); 4] = [
    ("scenarios/safety/smoke.toml", "1"),
    ("scenarios/safety/smoke.toml", "2"),
    ("scenarios/safety/power-cut-everywhere.toml", "1"),
    ("scenarios/safety/swarm.toml", "1"),
];

const STEPS: [(&str, Action); 11] = [
    ("fmt", Action::Cargo(&["fmt", "--all", "--check"])),
    ("tidy", Action::Tidy),
    ("clippy", Action::Cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])),
    ("tests", Action::Cargo(&["test", "--workspace"])),
    ("docs", Action::CargoDoc(&["doc", "--workspace", "--no-deps"])),
    ("build", Action::Build),
    ("examples", Action::Examples),
    ("twin", Action::Twin),
    ("safety", Action::Safety),
    ("swarm", Action::Swarm),
    ("tries", Action::Tries),
];

/// Which steps to run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    only: Vec<String>,
    skip: Vec<String>,
}

impl Selection {
    fn has(&self, step: &str) -> bool {
        let named = |steps: &[String]| steps.iter().any(|name| name == step);
        (self.only.is_empty() || named(&self.only)) && !named(&self.skip)
    }
}

/// Reads `--only STEP` and `--skip STEP`.
pub fn selection(options: &[&str]) -> Result<Selection, String> {
    let mut selection = Selection::default();
    for pair in options.chunks(2) {
        let steps = match pair {
            ["--only", _] => &mut selection.only,
            ["--skip", _] => &mut selection.skip,
            _ => return Err(format!("not understood: {}", pair.join(" "))),
        };
        let step = pair[1];
        if !STEPS.iter().any(|(name, _)| *name == step) {
            let names: Vec<&str> = STEPS.iter().map(|(name, _)| *name).collect();
            return Err(format!("there is no step {step}, only {}", names.join(", ")));
        }
        steps.push(step.to_owned());
    }
    Ok(selection)
}

/// Runs the steps up to the first that fails; true if none does.
pub fn run(selection: &Selection) -> anyhow::Result<bool> {
    let mut passed = Vec::new();
    for (name, action) in STEPS.iter().filter(|(name, _)| selection.has(name)) {
        say(&format!("== {name}"));
        let (took, good) = timed(|| act(*action))?;
        if !good {
            say(&format!("== {name} failed; again: cargo xtask check --only {name}"));
            return Ok(false);
        }
        passed.push(format!("{name} {:.0}s", took.as_secs_f64()));
    }
    say(&format!("== passed: {}", passed.join(", ")));
    Ok(true)
}

#[expect(clippy::disallowed_types, reason = "a developer waits in real time")]
fn timed<T>(work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<(Duration, T)> {
    let began = std::time::Instant::now();
    let done = work()?;
    Ok((began.elapsed(), done))
}

fn act(action: Action) -> anyhow::Result<bool> {
    match action {
        Action::Tidy => tidy::run(),
        Action::Examples => examples::run(),
        Action::Build => asserting::fracas().map(|_| true),
        Action::Cargo(arguments) => cargo(arguments.iter().copied(), None),
        Action::CargoDoc(arguments) => {
            cargo(arguments.iter().copied(), Some(("RUSTDOCFLAGS", "-Dwarnings")))
        }
        Action::Twin => {
            for (scenario, seed) in TWINS {
                let twin = ["twin", "--quiet", scenario, "--seed", seed];
                if !fracas(twin)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        Action::Safety => {
            let scenarios = safety_scenarios()?;
            let scenarios = scenarios.iter().filter_map(|path| path.to_str());
            explore(scenarios.chain(["--seeds", SEEDS]))
        }
        Action::Tries => {
            let scenarios = safety_scenarios()?;
            let scenarios = scenarios.iter().filter_map(|path| path.to_str());
            fracas(["try", SWARM, "--quiet"].into_iter().chain(scenarios).chain(LOADS))
        }
        Action::Swarm => explore([SWARM, "--seeds", SWARM_SEEDS]),
    }
}

fn explore<'a>(arguments: impl IntoIterator<Item = &'a str>) -> anyhow::Result<bool> {
    fracas(["explore"].into_iter().chain(arguments))
}

fn fracas<'a>(arguments: impl IntoIterator<Item = &'a str>) -> anyhow::Result<bool> {
    let mut command = asserting::fracas()?;
    Ok(command.args(arguments).status().context("running fracas")?.success())
}

fn cargo<'a>(
    arguments: impl IntoIterator<Item = &'a str>,
    variable: Option<(&str, &str)>,
) -> anyhow::Result<bool> {
    let status = Command::new(cargo_program())
        .args(arguments)
        .envs(variable)
        .current_dir(root())
        .status()
        .context("running cargo")?;
    Ok(status.success())
}

fn safety_scenarios() -> anyhow::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for folder in SAFETY {
        for entry in std::fs::read_dir(root().join(folder)).context(folder)? {
            paths.push(PathBuf::from(folder).join(entry?.file_name()));
        }
    }
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.retain(|path| path != Path::new(SWARM));
    anyhow::ensure!(!paths.is_empty(), "there is no safety scenario");
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_selected_by_name() {
        let all = selection(&[]).expect("nothing is a good selection");
        assert!(STEPS.iter().all(|(name, _)| all.has(name)));
        let skip = selection(&["--skip", "tests"]).expect("there is such a step");
        assert!(skip.has("fmt") && !skip.has("tests"));
        let only = selection(&["--only", "fmt", "--only", "tidy"]).expect("there are such steps");
        assert!(only.has("fmt") && only.has("tidy") && !only.has("clippy"));
    }

    #[test]
    fn what_is_no_step_is_refused() {
        for options in [&["--skip", "test"][..], &["--skip"], &["fmt"], &["--without", "fmt"]] {
            assert!(selection(options).is_err(), "{options:?}");
        }
    }

    #[test]
    fn every_safety_scenario_is_run() {
        let scenarios = safety_scenarios().expect("they are there");
        let has = |name: &str| scenarios.iter().any(|path| path.ends_with(name));
        assert!(has("safety/smoke.toml") && has("faults/pause.toml") && scenarios.len() >= 18);
        assert!(
            !has("swarm.toml") && root().join(SWARM).exists(),
            "the swarm has a step of its own"
        );
        assert!(LOADS.iter().all(|load| root().join(load).exists()));
    }
}
