//! `fracas explore`: many seeds, each in a process of its own.

mod child;
mod summary;

use crate::commands::run::reproduce;
use crate::console::{self, ProgressLine};
use crate::interruption;
use crate::opening::{OpeningOfOne, WrongUse};
use child::{Children, Finished, Outcome};
use clap::Args;
use ports::entered;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;
use tokio::time::Instant;

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
    /// No run begins after so long: `10m`.
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    within: Option<Duration>,
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

/// How often the progress and the signals are looked at.
const LOOK: Duration = Duration::from_millis(100);

impl Explore {
    /// The worst status of all runs: violated is worse than unknown. Interrupted, it is at least
    /// unknown.
    pub fn execute(self) -> anyhow::Result<u8> {
        self.check()?;
        let stop = interruption::listen()?;
        let jobs = self.jobs.unwrap_or_else(|| {
            std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
        });
        let finished = self.run_all(jobs.max(1), &stop);
        console::result(&summary::tables(&self.scenarios, &finished));
        for one in finished.iter().filter(|one| one.outcome != Outcome::Valid) {
            let command = self.reproduce(one.scenario, one.seed);
            console::result(&format!("{}: {command}", one.why()));
        }
        let signal = *stop.borrow();
        if let Some(signal) = signal {
            let (done, total) = (finished.len(), self.total());
            console::result(&format!("{signal} after {done} of {total} runs"));
        }
        let any = |outcome| finished.iter().any(|one| one.outcome == outcome);
        Ok(match () {
            () if any(Outcome::Violated) => 1,
            () if any(Outcome::Unknown) || signal.is_some() => 2,
            () => 0,
        })
    }

    fn total(&self) -> u64 {
        self.seeds.saturating_mul(self.scenarios.len() as u64)
    }

    fn reproduce(&self, scenario: usize, seed: u64) -> String {
        reproduce("run", &self.scenarios[scenario], seed, &self.overrides)
    }

    fn opening(&self, scenario: &Path) -> OpeningOfOne {
        OpeningOfOne { scenario: scenario.to_owned(), overrides: self.overrides.clone() }
    }

    /// All mistakes of all files, not the first file's alone, and of everything that the seeds draw.
    fn check(&self) -> Result<(), WrongUse> {
        let mut mistakes = Vec::new();
        let last = self.from.checked_add(self.seeds.saturating_sub(1));
        if self.seeds == 0 {
            mistakes.push("--seeds: expected at least 1".to_owned());
        } else if last.is_none() {
            let last = u64::MAX;
            mistakes
                .push(format!("--from {} --seeds {}: seeds end at {last}", self.from, self.seeds));
        }
        for scenario in &self.scenarios {
            let opening = self.opening(scenario);
            let seeds = self.from..=last.unwrap_or(self.from);
            let wrong = match opening.open(self.from) {
                Ok(first) if first.drawn().is_none() => None,
                Ok(_) => seeds.into_iter().find_map(|seed| opening.open(seed).err()),
                Err(error) => Some(error),
            };
            mistakes.extend(wrong.map(|error| format!("{error:#}")));
        }
        if mistakes.is_empty() { Ok(()) } else { Err(WrongUse(mistakes.join("\n"))) }
    }

    fn run_all(&self, jobs: usize, stop: &interruption::Receiver) -> Vec<Finished> {
        let total = self.total();
        let ends = self.within.map(|within| Instant::now() + within);
        let next = AtomicU64::new(0);
        let caught = Mutex::new(vec![false; self.scenarios.len()]);
        let children = Children::default();
        let (sender, receiver) = mpsc::channel();
        let mut finished: Vec<Finished> = Vec::new();
        let mut progress = ProgressLine::new(self.quiet);
        std::thread::scope(|scope| {
            for _ in 0..jobs {
                let (sender, next, caught, children) = (sender.clone(), &next, &caught, &children);
                scope.spawn(move || {
                    while ends.is_none_or(|ends| Instant::now() < ends) {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        if index >= total {
                            break;
                        }
                        let scenario = (index / self.seeds) as usize;
                        if self.until_caught && lock(caught)[scenario] {
                            continue;
                        }
                        let seed = self.from + index % self.seeds;
                        let path = &self.scenarios[scenario];
                        let Some(one) = children.run(path, scenario, seed, &self.overrides) else {
                            break;
                        };
                        if one.outcome != Outcome::Valid {
                            lock(caught)[scenario] = true;
                        }
                        if sender.send(one).is_err() {
                            break;
                        }
                    }
                });
            }
            drop(sender);
            loop {
                match receiver.recv_timeout(LOOK) {
                    Ok(one) => finished.push(one),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                }
                if stop.borrow().is_some() {
                    children.end_all();
                }
                let bad = finished.iter().filter(|one| one.outcome != Outcome::Valid).count();
                progress.show(&format!("{} of {total} runs, {bad} not valid", finished.len()));
            }
        });
        progress.finish();
        finished.sort_by_key(|one| (one.scenario, one.seed));
        finished
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    entered(mutex.lock())
}

fn duration(text: &str) -> Result<Duration, String> {
    scenarios::duration::parse(text)
        .ok_or_else(|| "expected a duration, such as 90s or 10m".to_owned())
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

    #[test]
    fn what_only_some_seeds_draw_is_checked_before_the_first_run() {
        let smoke = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/safety/smoke.toml");
        let check = |stores: &str| {
            let stores = format!("cluster.stores={stores}");
            let partitions = "cluster.partitions={ draw = [3, 3, 9] }";
            let words = ["explore", smoke, "--seeds", "40", "--set", &stores, "--set", partitions];
            Line::try_parse_from(words).map(|line| line.explore.check()).ok().unwrap()
        };
        assert!(check("{ draw = [1, 2, 3] }").is_ok());
        // The first three values go together, of some seeds they do not.
        let told = check("{ draw = [3, 2, 9] }").expect_err("9 stores, 3 partitions").0;
        assert!(told.contains("3 partitions do not reach for 9 stores"), "{told}");
    }
}
