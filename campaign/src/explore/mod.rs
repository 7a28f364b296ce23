//! Many seeds of many scenarios, each run in a process of its own.

mod child;
mod summary;

pub use child::{Finished, Outcome};
pub use summary::tables;

use crate::reproduce::reproduce;
use crate::{InvalidUsage, Opening};
use child::Children;
use ports::entered;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// What to explore.
#[derive(Clone, Debug)]
pub struct Explore {
    /// The scenario files.
    pub scenarios: Vec<PathBuf>,
    /// Overrides of all of them, one value per key.
    pub overrides: Vec<String>,
    /// The first seed.
    pub from: u64,
    /// How many seeds of each.
    pub seeds: u64,
    /// No run begins after so long.
    pub within: Option<Duration>,
    /// Processes at a time.
    pub jobs: usize,
    /// Stop a scenario at its first seed whose verdict is not valid.
    pub until_caught: bool,
}

/// How often the progress and the signals are looked at.
const LOOK: Duration = Duration::from_millis(100);

impl Explore {
    /// How many runs there are.
    pub fn total(&self) -> u64 {
        self.seeds.saturating_mul(self.scenarios.len() as u64)
    }

    /// One command that reproduces one of the runs.
    pub fn reproduce(&self, one: &Finished) -> String {
        reproduce("run", &self.scenarios[one.scenario], one.seed, &self.overrides)
    }

    /// Finds all mistakes of all files, not the first file's alone, and of everything that the seeds draw.
    ///
    /// # Errors
    /// All of them.
    pub fn check(&self) -> Result<(), InvalidUsage> {
        let mut mistakes = Vec::new();
        let last = self.from.checked_add(self.seeds.saturating_sub(1));
        if self.seeds == 0 {
            mistakes.push("--seeds: expected at least 1".to_owned());
        } else if last.is_none() {
            let last = u64::MAX;
            mistakes.push(format!(
                "--from {} --seeds {}: the last seed is {last}",
                self.from, self.seeds
            ));
        }
        for scenario in &self.scenarios {
            let opening = Opening { scenario: scenario.clone(), overrides: self.overrides.clone() };
            let seeds = self.from..=last.unwrap_or(self.from);
            let wrong = match opening.open_one(self.from) {
                Ok(first) if first.drawn().is_none() => None,
                Ok(_) => seeds.into_iter().find_map(|seed| opening.open_one(seed).err()),
                Err(error) => Some(error),
            };
            mistakes.extend(wrong.map(|error| error.to_string()));
        }
        if mistakes.is_empty() { Ok(()) } else { Err(InvalidUsage(mistakes.join("\n"))) }
    }

    /// Runs all of it, or until `stop` names somebody who asks for the end; `show` gets the number of
    /// finished runs and of those that are not valid, now and then.
    pub fn run(
        &self,
        stop: &watch::Receiver<Option<&'static str>>,
        mut show: impl FnMut(usize, usize),
    ) -> Vec<Finished> {
        let total = self.total();
        let ends = self.within.map(|within| Instant::now() + within);
        let next = AtomicU64::new(0);
        let caught = Mutex::new(vec![false; self.scenarios.len()]);
        let children = Children::default();
        let (sender, receiver) = mpsc::channel();
        let mut finished: Vec<Finished> = Vec::new();
        std::thread::scope(|scope| {
            for _ in 0..self.jobs.max(1) {
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
                show(finished.len(), bad);
            }
        });
        finished.sort_by_key(|one| (one.scenario, one.seed));
        finished
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    entered(mutex.lock())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explore(scenarios: &[&str], overrides: &[&str], from: u64, seeds: u64) -> Explore {
        Explore {
            scenarios: scenarios.iter().map(PathBuf::from).collect(),
            overrides: overrides.iter().map(|&set| set.to_owned()).collect(),
            from,
            seeds,
            within: None,
            jobs: 1,
            until_caught: false,
        }
    }

    #[test]
    fn all_mistakes_of_all_files_are_reported() {
        let explore = explore(&["/nope/a.toml", "/nope/b.toml"], &[], u64::MAX, 3);
        let told = explore.check().unwrap_err().0;
        assert_eq!(told.lines().count(), 3, "{told}");
        assert!(told.contains("/nope/a.toml") && told.contains("/nope/b.toml"), "{told}");
        assert!(told.contains("the last seed is"), "{told}");
    }

    #[test]
    fn what_only_some_seeds_draw_is_checked_before_the_first_run() {
        let smoke = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/safety/smoke.toml");
        let check = |stores: &str| {
            let stores = format!("cluster.stores={stores}");
            let partitions = "cluster.partitions={ draw = [3, 3, 9] }";
            explore(&[smoke], &[&stores, partitions], 1, 40).check()
        };
        assert_eq!(check("{ draw = [1, 2, 3] }"), Ok(()));
        // The first three values go together, of some seeds they do not.
        let told = check("{ draw = [3, 2, 9] }").expect_err("9 stores, 3 partitions").0;
        assert!(told.contains("3 partitions are not enough for 9 stores"), "{told}");
    }
}
