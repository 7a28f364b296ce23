//! `fracas explore`: many seeds, each in a process of its own.

use crate::commands::run::reproduce;
use crate::console::{self, ProgressLine};
use crate::opening::{OpeningOfOne, WrongUse};
use clap::Args;
use comfy_table::Table;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use verify::Verdict;

/// Simulate scenarios with many seeds.
#[derive(Debug, Args)]
pub struct Explore {
    /// The scenario files.
    #[arg(required = true)]
    scenarios: Vec<PathBuf>,
    /// How many seeds of each.
    #[arg(long, default_value_t = 20)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Processes at a time; by default one per processor.
    #[arg(long)]
    jobs: Option<usize>,
    /// Another value for a key of the files. One value per key.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Stop a scenario at its first seed whose verdict is not valid.
    #[arg(long)]
    until_caught: bool,
    /// No progress line.
    #[arg(long)]
    quiet: bool,
}

/// How the run of one seed ended.
struct Finished {
    scenario: usize,
    seed: u64,
    status: u8,
    violated: Vec<String>,
    doubts: Vec<String>,
}

impl Explore {
    /// The worst status of all runs.
    pub fn execute(self) -> anyhow::Result<u8> {
        self.check()?;
        let jobs = self.jobs.unwrap_or_else(|| {
            std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
        });
        let finished = self.run_all(jobs.max(1));
        console::result(&self.table(&finished));
        for one in finished.iter().filter(|one| one.status != 0) {
            let scenario = &self.scenarios[one.scenario];
            let why = if one.violated.is_empty() { &one.doubts } else { &one.violated };
            let command = reproduce("run", scenario, one.seed, &self.overrides);
            console::result(&format!("{}: {command}", why.join("; ")));
        }
        let any = |status| finished.iter().any(|one| one.status == status);
        Ok(if any(1) { 1 } else { u8::from(finished.iter().any(|one| one.status != 0)) * 2 })
    }

    fn opening(&self, scenario: &Path) -> OpeningOfOne {
        OpeningOfOne { scenario: scenario.to_owned(), overrides: self.overrides.clone() }
    }

    /// All mistakes of all files, not the first file's alone.
    fn check(&self) -> Result<(), WrongUse> {
        let mut mistakes = Vec::new();
        if self.seeds == 0 {
            mistakes.push("--seeds: expected at least 1".to_owned());
        } else if self.from.checked_add(self.seeds - 1).is_none() {
            let last = u64::MAX;
            mistakes
                .push(format!("--from {} --seeds {}: seeds end at {last}", self.from, self.seeds));
        }
        for scenario in &self.scenarios {
            mistakes.extend(self.opening(scenario).open().err().map(|error| format!("{error:#}")));
        }
        if mistakes.is_empty() { Ok(()) } else { Err(WrongUse(mistakes.join("\n"))) }
    }

    fn run_all(&self, jobs: usize) -> Vec<Finished> {
        let total = self.seeds * self.scenarios.len() as u64;
        let next = AtomicU64::new(0);
        let caught = Mutex::new(vec![false; self.scenarios.len()]);
        let (sender, receiver) = mpsc::channel();
        let mut finished = Vec::new();
        let mut progress = ProgressLine::new(self.quiet);
        std::thread::scope(|scope| {
            for _ in 0..jobs {
                let (sender, next, caught) = (sender.clone(), &next, &caught);
                scope.spawn(move || {
                    loop {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        if index >= total {
                            break;
                        }
                        let scenario = (index / self.seeds) as usize;
                        let is_caught = |caught: &Mutex<Vec<bool>>| {
                            caught.lock().unwrap_or_else(PoisonError::into_inner)[scenario]
                        };
                        if self.until_caught && is_caught(caught) {
                            continue;
                        }
                        let one = self.run_one(scenario, self.from + index % self.seeds);
                        if one.status != 0 {
                            caught.lock().unwrap_or_else(PoisonError::into_inner)[scenario] = true;
                        }
                        if sender.send(one).is_err() {
                            break;
                        }
                    }
                });
            }
            drop(sender);
            for one in receiver {
                finished.push(one);
                let bad = finished.iter().filter(|one| one.status != 0).count();
                progress.show(&format!("{} of {total} runs, {bad} not valid", finished.len()));
            }
        });
        progress.finish();
        finished.sort_by_key(|one| (one.scenario, one.seed));
        finished
    }

    fn run_one(&self, scenario: usize, seed: u64) -> Finished {
        let mut finished =
            Finished { scenario, seed, status: 2, violated: Vec::new(), doubts: Vec::new() };
        let output = std::env::current_exe().and_then(|fracas| {
            let mut command = Command::new(fracas);
            command.arg("run").arg(&self.scenarios[scenario]).args(["--json", "--quiet"]);
            command.arg("--seed").arg(seed.to_string());
            for set in &self.overrides {
                command.arg("--set").arg(set);
            }
            command.stdin(Stdio::null()).output()
        });
        let output = match output {
            Ok(output) => output,
            Err(error) => {
                finished.doubts.push(format!("no process: {error}"));
                return finished;
            }
        };
        finished.status =
            output.status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(2);
        if let Ok(verdict) = serde_json::from_slice::<report::VerdictFile>(&output.stdout) {
            let violated =
                verdict.findings.into_iter().filter(|one| one.verdict == Verdict::Violated);
            finished.violated.extend(violated.map(|finding| finding.invariant));
            finished.doubts = verdict.doubts;
        }
        if finished.status != 0 && finished.violated.is_empty() && finished.doubts.is_empty() {
            finished.doubts.push(String::from_utf8_lossy(&output.stderr).trim().to_owned());
        }
        finished
    }

    fn table(&self, finished: &[Finished]) -> String {
        let mut table = Table::new();
        table.load_preset(comfy_table::presets::NOTHING);
        table.set_header([
            "scenario",
            "runs",
            "valid",
            "violated",
            "unknown",
            "violated invariants",
        ]);
        for (index, path) in self.scenarios.iter().enumerate() {
            let of = || finished.iter().filter(move |one| one.scenario == index);
            let count = |status| of().filter(|one| one.status == status).count().to_string();
            let mut invariants: BTreeMap<&str, u64> = BTreeMap::new();
            for name in of().flat_map(|one| &one.violated) {
                *invariants.entry(name).or_default() += 1;
            }
            let invariants: Vec<String> =
                invariants.iter().map(|(name, runs)| format!("{name} ({runs})")).collect();
            table.add_row([
                path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
                of().count().to_string(),
                count(0),
                count(1),
                of().filter(|one| one.status > 1).count().to_string(),
                invariants.join(", "),
            ]);
        }
        table.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        explore: Explore,
    }

    #[test]
    fn all_mistakes_of_all_files_are_told() {
        let words = "explore /nope/a.toml /nope/b.toml --from 18446744073709551615 --seeds 3";
        let explore = Line::try_parse_from(words.split(' ')).map(|line| line.explore).ok().unwrap();
        let told = explore.check().unwrap_err().0;
        assert_eq!(told.lines().count(), 3, "{told}");
        assert!(told.contains("/nope/a.toml") && told.contains("/nope/b.toml"), "{told}");
        assert!(told.contains("seeds end at"), "{told}");
    }
}
