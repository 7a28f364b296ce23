//! Many seeds of many scenarios and of several values of their keys, simulated or real, each run in a
//! process of its own.

pub(crate) mod child;
mod finished;
mod summary;

pub use child::World;
pub use finished::{Finished, Outcome};

use crate::reproduce::reproduce;
use crate::{InvalidUsage, Opened, Opening};
use child::Children;
use ports::entered;
use report::sweep::{Sweep, SweepRun};
use scenarios::shell::quoted;
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
    /// The scenarios: files, or names of the library.
    pub scenarios: Vec<PathBuf>,
    /// Overrides of all of them; several values of a key make a case each.
    pub overrides: Vec<String>,
    /// The first seed.
    pub from: u64,
    /// How many seeds of each.
    pub seeds: u64,
    /// No run begins after so long.
    pub within: Option<Duration>,
    /// Processes at a time.
    pub jobs: usize,
    /// Stop a case at its first seed whose verdict is not valid.
    pub until_caught: bool,
    /// Where each run gets a folder.
    pub out: Option<PathBuf>,
    /// Where the runs take place.
    pub world: World,
}

/// A scenario with one value per key, to be run with every seed.
#[derive(Clone, Debug)]
pub struct Case {
    /// The scenario: a file, or a name of the library.
    pub scenario: PathBuf,
    /// One value per key.
    pub overrides: Vec<String>,
    /// The name of the scenario, if there are several, and its values of the keys that have several.
    pub values: Vec<String>,
    /// Where its runs are, within the folder of all.
    pub folder: PathBuf,
}

/// What to explore, checked.
#[derive(Debug)]
pub struct Exploration {
    wanted: Explore,
    /// What tells the cases apart.
    keys: Vec<String>,
    cases: Vec<Case>,
    /// What is known before the first run, whatever the seed.
    notes: Vec<String>,
}

/// How often the progress and the signals are looked at.
const LOOK: Duration = Duration::from_millis(100);

impl Explore {
    /// Finds all mistakes of all files, not the first file's alone, and of everything that the seeds draw.
    ///
    /// # Errors
    /// All of them.
    pub fn checked(self) -> Result<Exploration, InvalidUsage> {
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
        let (mut keys, mut cases, mut notes) = (Vec::new(), Vec::new(), Vec::new());
        for (number, scenario) in self.scenarios.iter().enumerate() {
            let opening = Opening { scenario: scenario.clone(), overrides: self.overrides.clone() };
            let mut seeds = self.from..=last.unwrap_or(self.from);
            let opened = opening.open(self.from).and_then(|opened| {
                // Without draws, all seeds are alike.
                let draws = opened.iter().any(|one| one.drawn().is_some());
                let wrong = draws.then(|| seeds.find_map(|seed| opening.open(seed).err()));
                wrong.flatten().map_or(Ok(opened), Err)
            });
            match opened {
                Ok(opened) => {
                    keys = opening.keys()?;
                    cases.extend(self.cases(number, &opened));
                    for note in opened.iter().flat_map(|one| scenarios::idle(&one.scenario)) {
                        let note = format!("{}: {note}", scenario.display());
                        if !notes.contains(&note) {
                            notes.push(note);
                        }
                    }
                }
                Err(error) => mistakes.push(error.to_string()),
            }
        }
        if self.scenarios.len() > 1 {
            keys.insert(0, "scenario".to_owned());
        }
        if mistakes.is_empty() {
            Ok(Exploration { wanted: self, keys, cases, notes })
        } else {
            Err(InvalidUsage(mistakes.join("\n")))
        }
    }

    /// The cases of a scenario.
    fn cases(&self, number: usize, opened: &[Opened]) -> Vec<Case> {
        let stem = |path: &PathBuf| path.file_stem().unwrap_or_default().to_owned();
        let scenario = &self.scenarios[number];
        let alike = self.scenarios.iter().filter(|one| stem(one) == stem(scenario)).count();
        let name = stem(scenario).to_string_lossy().into_owned();
        let name = if alike == 1 { name } else { format!("{}-{name}", number + 1) };
        let cases = opened.iter().enumerate().map(|(index, one)| {
            let mut folder = PathBuf::new();
            let mut values = one.values.clone();
            if self.scenarios.len() > 1 {
                folder.push(&name);
                values.insert(0, name.clone());
            }
            if opened.len() > 1 {
                folder.push((index + 1).to_string());
            }
            let (scenario, overrides) = (scenario.clone(), one.overrides.clone());
            Case { scenario, overrides, values, folder }
        });
        cases.collect()
    }
}

impl Exploration {
    /// How many runs there are.
    pub fn total(&self) -> u64 {
        self.wanted.seeds.saturating_mul(self.cases.len() as u64)
    }

    /// Of which cases no run was made: their time was over before.
    pub fn without_a_run(&self, finished: &[Finished]) -> Vec<String> {
        let is_run = |number: usize| finished.iter().any(|one| one.case == number);
        let left_out = self.cases.iter().enumerate().filter(|(number, _)| !is_run(*number));
        left_out.map(|(_, case)| case.name(&self.keys)).collect()
    }

    /// What is known before the first run.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Whether keys have several values.
    pub fn is_sweep(&self) -> bool {
        self.cases.len() > self.wanted.scenarios.len()
    }

    /// One command that reproduces one of the runs.
    pub fn reproduce(&self, one: &Finished) -> String {
        let case = &self.cases[one.case];
        let world = &self.wanted.world;
        let command = reproduce(world.command(), &case.scenario, one.seed, &case.overrides);
        let options = world.options().iter().map(|word| quoted(word));
        std::iter::once(command).chain(options).collect::<Vec<_>>().join(" ")
    }

    /// What all runs say: verdicts, episodes, reasons.
    pub fn tables(&self, finished: &[Finished], width: u16) -> String {
        summary::tables(&self.cases, &self.keys, finished, width)
    }

    /// The runs side by side, for the table and the page of their folder.
    pub fn sweep(&self, finished: &[Finished], version: &str) -> Sweep {
        // Of one case, the seeds are what differs.
        let by_seed = self.keys.is_empty();
        let paths = self.wanted.scenarios.iter().map(|path| path.display().to_string());
        let mut sweep = Sweep {
            title: paths.collect::<Vec<_>>().join(", "),
            keys: if by_seed { vec!["seed".to_owned()] } else { self.keys.clone() },
            version: version.to_owned(),
            rows: Vec::new(),
        };
        for one in finished {
            let case = &self.cases[one.case];
            let folder = case.folder.join(one.seed.to_string()).display().to_string();
            let folder = self.wanted.out.is_some().then_some(folder);
            let (seed, summary) = (one.seed, one.summary);
            let values = if by_seed { vec![seed.to_string()] } else { case.values.clone() };
            let first = one.first.clone();
            sweep.add(values, SweepRun { first, seed, folder, summary });
        }
        sweep
    }

    /// All runs for CI systems (JUnit).
    pub fn junit(&self, finished: &[Finished], version: &str) -> String {
        let members = finished.iter().map(|one| report::Member {
            name: self.cases[one.case].name(&self.keys),
            seed: one.seed,
            outcome: one.outcome.into(),
            why: one.why(),
            first: one.first.clone(),
            seconds: one.took.map_or(0.0, |took| took.as_secs_f64()),
            reproduce: self.reproduce(one),
        });
        report::members("fracas", version, &members.collect::<Vec<_>>())
    }

    /// All runs for programs: `reports/README.md` says what each field holds.
    pub fn json(&self, finished: &[Finished]) -> serde_json::Value {
        let run = |one: &Finished| {
            let case = &self.cases[one.case];
            serde_json::json!({
                "scenario": case.scenario,
                "overrides": case.overrides,
                "seed": one.seed,
                "outcome": one.outcome.word(),
                "violated": one.violated,
                "missed": one.missed,
                "doubts": one.doubts,
                "died": one.died,
                "first": one.first,
                "took_s": one.took.map(|took| took.as_secs_f64()),
                "reproduce": self.reproduce(one),
            })
        };
        finished.iter().map(run).collect()
    }

    /// The name of a run: of its scenario, its values, its seed.
    pub fn name(&self, one: &Finished) -> String {
        format!("{}, seed {}", self.cases[one.case].name(&self.keys), one.seed)
    }

    /// Runs all of it, or until `stop` names somebody who asks for the end; `show` gets the number of
    /// finished runs and of those that are not valid, now and then.
    pub fn run(
        &self,
        stop: &watch::Receiver<Option<&'static str>>,
        mut show: impl FnMut(usize, usize),
    ) -> Vec<Finished> {
        let total = self.total();
        let ends = self.wanted.within.map(|within| Instant::now() + within);
        let next = AtomicU64::new(0);
        let caught = Mutex::new(vec![false; self.cases.len()]);
        let children = Children::default();
        let (sender, receiver) = mpsc::channel();
        let mut finished: Vec<Finished> = Vec::new();
        std::thread::scope(|scope| {
            for _ in 0..self.wanted.jobs.max(1) {
                let (sender, next, caught, children) = (sender.clone(), &next, &caught, &children);
                scope.spawn(move || {
                    while ends.is_none_or(|ends| Instant::now() < ends) {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        if index >= total {
                            break;
                        }
                        // In turns: where the time ends first, each has had its part of it.
                        let number = (index % self.cases.len() as u64) as usize;
                        if self.wanted.until_caught && lock(caught)[number] {
                            continue;
                        }
                        let Some(one) = self.one(children, number, index) else { break };
                        if one.outcome != Outcome::Valid {
                            lock(caught)[number] = true;
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
                    children.end_all(&self.wanted.world);
                }
                let bad = finished.iter().filter(|one| one.outcome != Outcome::Valid).count();
                show(finished.len(), bad);
            }
        });
        finished.sort_by_key(|one| (one.case, one.seed));
        finished
    }

    /// The run with this index among all of them.
    fn one(&self, children: &Children, number: usize, index: u64) -> Option<Finished> {
        let seed = self.wanted.from + index / self.cases.len() as u64;
        let case = &self.cases[number];
        let out = self.wanted.out.as_ref();
        let out = out.map(|out| out.join(&case.folder).join(seed.to_string()));
        children.run(&self.wanted.world, (number, case), seed, out.as_deref())
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
            out: None,
            world: World::Simulated,
        }
    }

    #[test]
    fn a_real_run_is_reproduced_with_its_options() {
        let smoke = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/safety/smoke.toml");
        let options = ["--engines", "rabbitmq:3,postgres"].map(str::to_owned).to_vec();
        let real = Explore { world: World::Real(options), ..explore(&[smoke], &[], 5, 1) };
        let checked = real.checked().expect("valid");
        let one = Finished::nothing(0, 5, Outcome::Unknown);
        let told = checked.reproduce(&one);
        assert!(told.starts_with("fracas load ") && told.contains(" --seed 5 "), "{told}");
        assert!(told.ends_with(" --engines rabbitmq:3,postgres"), "{told}");
    }

    #[test]
    fn all_mistakes_of_all_files_are_reported() {
        let explore = explore(&["/nope/a.toml", "/nope/b.toml"], &[], u64::MAX, 3);
        let told = explore.checked().unwrap_err().0;
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
            explore(&[smoke], &[&stores, partitions], 1, 40).checked()
        };
        assert!(check("{ draw = [1, 2, 3] }").is_ok());
        // The first three values go together, of some seeds they do not.
        let told = check("{ draw = [3, 2, 9] }").expect_err("9 stores, 3 partitions").0;
        assert!(told.contains("3 partitions are not enough for 9 stores"), "{told}");
    }

    #[test]
    fn every_combination_is_a_case_with_a_folder_of_its_own() {
        let safety = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/safety/");
        let files = ["smoke.toml", "half-open.toml"].map(|name| format!("{safety}{name}"));
        let told = |files: &[&str], sets: &[&str]| {
            let checked = explore(files, sets, 1, 2).checked().expect("valid");
            let cases = checked.cases.iter();
            let folders =
                cases.map(|case| format!("{}: {}", case.folder.display(), case.values.join(" ")));
            let folders: Vec<String> = folders.collect();
            (checked.keys.join(" "), checked.total(), folders)
        };
        let [smoke, half_open] = [files[0].as_str(), files[1].as_str()];
        let owned = |all: &[&str]| all.iter().map(|&one| one.to_owned()).collect::<Vec<_>>();
        assert_eq!(told(&[smoke], &["users.codec=json"]), (String::new(), 2, owned(&[": "])));
        let sets = ["users.codec=json,binary", "cluster.gateways=2"];
        let codec = "users.codec".to_owned();
        assert_eq!(told(&[smoke], &sets), (codec, 4, owned(&["1: json", "2: binary"])));
        let (keys, total, folders) = told(&[smoke, half_open, smoke], &sets);
        assert_eq!((keys.as_str(), total), ("scenario users.codec", 12));
        assert_eq!(folders[0], "1-smoke/1: 1-smoke json");
        assert_eq!(folders[3], "half-open/2: half-open binary");
    }
}
