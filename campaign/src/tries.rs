//! Every try of some scenarios, simulated, beside what the scenarios predict of it.

use crate::explore::child::{Children, World};
use crate::explore::{Case, Finished, Outcome};
use crate::reproduce::reproduce;
use crate::{InvalidUsage, Opening};
use scenarios::scenario::{ExpectedOutcome, Try};
use scenarios::shell::quoted;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;
use tokio::sync::watch;

/// Seeds after which a violation that is predicted counts as not shown.
const SEEDS_UNTIL_CAUGHT: u64 = 50;

/// The first seed.
const FIRST: u64 = 1;

/// How often the signals are looked at.
const LOOK: Duration = Duration::from_millis(100);

/// The tries of some scenarios, each with one value per key.
pub struct Tries(Vec<(Case, Try)>);

/// What became of a try.
#[derive(Debug)]
pub struct Tried {
    /// Its number among all of them.
    pub number: usize,
    /// Whether the prediction came true.
    pub came: Came,
    /// How many seeds it took.
    pub seeds: u64,
    /// The run that decided it: the last one.
    pub run: Finished,
}

/// What became of a prediction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// It came true.
    True,
    /// Something else came out, or no seed shows it.
    False,
    /// The run could not be judged.
    Open,
}

impl Tries {
    /// The tries of these scenarios.
    ///
    /// # Errors
    /// All mistakes of the files and of what their tries set.
    pub fn of(scenarios: &[PathBuf]) -> Result<Self, InvalidUsage> {
        let (mut all, mut mistakes) = (Vec::new(), Vec::new());
        for scenario in scenarios {
            match tries(scenario) {
                Ok(tries) => all.extend(tries),
                Err(InvalidUsage(told)) => mistakes.push(told),
            }
        }
        if mistakes.is_empty() { Ok(Self(all)) } else { Err(InvalidUsage(mistakes.join("\n"))) }
    }

    /// How many there are.
    pub fn total(&self) -> usize {
        self.0.len()
    }

    /// The try with this number.
    pub fn tried(&self, number: usize) -> &Try {
        &self.0[number].1
    }

    /// The options of a try, behind its scenario.
    pub fn command(&self, number: usize) -> String {
        let (case, one) = &self.0[number];
        let seed = one.seed.map(|seed| format!(" --seed {seed}")).unwrap_or_default();
        let sets = case.overrides.iter().map(|set| format!(" --set {}", quoted(set)));
        let name = case.scenario.file_stem().unwrap_or_default().display();
        format!("{name}{seed}{}", sets.collect::<String>())
    }

    /// One command that shows what came of a try.
    pub fn reproduce(&self, tried: &Tried) -> String {
        let (case, _) = &self.0[tried.number];
        reproduce("run", &case.scenario, tried.run.seed, &case.overrides)
    }

    /// Runs all of them, `jobs` at a time, until `stop` names somebody who asks for the end; `seeds` of
    /// each that is predicted to be valid. `show` hears of each when it is decided.
    pub fn run(
        &self,
        seeds: u64,
        jobs: usize,
        stop: &watch::Receiver<Option<&'static str>>,
        mut show: impl FnMut(&Tried),
    ) -> Vec<Tried> {
        let (next, children) = (AtomicUsize::new(0), Children::default());
        let (sender, receiver) = mpsc::channel();
        let mut all = Vec::new();
        std::thread::scope(|scope| {
            for _ in 0..jobs.max(1) {
                let (sender, next, children) = (sender.clone(), &next, &children);
                scope.spawn(move || {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        let Some((case, one)) = self.0.get(number) else { break };
                        let Some(tried) = decided(children, number, case, one, seeds) else {
                            break;
                        };
                        if sender.send(tried).is_err() {
                            break;
                        }
                    }
                });
            }
            drop(sender);
            loop {
                match receiver.recv_timeout(LOOK) {
                    Ok(tried) => {
                        show(&tried);
                        all.push(tried);
                    }
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                }
                if stop.borrow().is_some() {
                    children.end_all(&World::Simulated);
                }
            }
        });
        all.sort_by_key(|tried: &Tried| tried.number);
        all
    }
}

/// The tries of one scenario.
fn tries(scenario: &Path) -> Result<Vec<(Case, Try)>, InvalidUsage> {
    let opening = |overrides| Opening { scenario: scenario.to_owned(), overrides };
    let (mut all, mut mistakes) = (Vec::new(), Vec::new());
    let opened = opening(Vec::new()).open_one(FIRST)?.scenario;
    if opened.journeys.is_some() {
        let name = scenario.display();
        let why = "[journeys] is for real runs (fracas load), and cannot be simulated";
        return Err(InvalidUsage(format!("{name}: {why}")));
    }
    for one in opened.tries {
        let overrides = one.set.iter().map(ToString::to_string).collect();
        match opening(overrides).open(one.seed.unwrap_or(FIRST)) {
            Ok(opened) => all.extend(opened.into_iter().map(|opened| {
                let case = Case {
                    scenario: scenario.to_owned(),
                    overrides: opened.overrides,
                    values: opened.values,
                    folder: PathBuf::new(),
                };
                (case, one.clone())
            })),
            Err(InvalidUsage(told)) => mistakes.push(told),
        }
    }
    if mistakes.is_empty() { Ok(all) } else { Err(InvalidUsage(mistakes.join("\n"))) }
}

/// Runs one seed after another until it is known what becomes of a try. `None`: everything was ended.
fn decided(
    children: &Children,
    number: usize,
    case: &Case,
    one: &Try,
    seeds: u64,
) -> Option<Tried> {
    let most = match &one.predicted {
        ExpectedOutcome::Valid => seeds,
        ExpectedOutcome::Violates(_) => SEEDS_UNTIL_CAUGHT,
    };
    let (from, most) = one.seed.map_or((FIRST, most), |seed| (seed, 1));
    let (mut seed, mut seeds, mut is_certain) = (from, 1, true);
    loop {
        let run = children.run(&World::Simulated, (number, case), seed, None)?;
        is_certain &= run.outcome != Outcome::Unknown;
        if let Some(came) = settled(&one.predicted, &run, seeds >= most, is_certain) {
            return Some(Tried { number, came, seeds, run });
        }
        (seed, seeds) = (seed.saturating_add(1), seeds + 1);
    }
}

/// What a run says of a prediction; `None`: another seed is to be asked. `is_certain`: none so far was unknown.
fn settled(
    predicted: &ExpectedOutcome,
    run: &Finished,
    is_last: bool,
    is_certain: bool,
) -> Option<Came> {
    // Nobody predicts that a process of the simulation dies.
    if run.died.is_some() {
        return Some(Came::False);
    }
    match predicted {
        ExpectedOutcome::Valid if !run.violated.is_empty() => Some(Came::False),
        ExpectedOutcome::Valid if run.outcome == Outcome::Unknown => Some(Came::Open),
        ExpectedOutcome::Valid => is_last.then_some(Came::True),
        ExpectedOutcome::Violates(names) if names.iter().all(|it| run.violated.contains(it)) => {
            Some(Came::True)
        }
        ExpectedOutcome::Violates(_) if is_certain => is_last.then_some(Came::False),
        ExpectedOutcome::Violates(_) => is_last.then_some(Came::Open),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(outcome: Outcome, violated: &[&str]) -> Finished {
        let violated = violated.iter().map(|&name| name.to_owned()).collect();
        Finished { violated, ..Finished::nothing(0, 1, outcome) }
    }

    #[test]
    fn a_violation_may_need_several_seeds_and_validity_needs_all_of_them() {
        let lost = ExpectedOutcome::Violates(vec!["no_gap_in_sequence".to_owned()]);
        let valid = run(Outcome::Valid, &[]);
        let caught = run(Outcome::Violated, &["sender_order_kept", "no_gap_in_sequence"]);
        let otherwise = run(Outcome::Violated, &["sender_order_kept"]);
        let unknown = run(Outcome::Unknown, &[]);
        let missed = run(Outcome::Missed, &[]);
        assert_eq!(settled(&lost, &valid, false, true), None);
        assert_eq!(settled(&lost, &otherwise, false, true), None);
        assert_eq!(settled(&lost, &valid, true, true), Some(Came::False));
        assert_eq!(settled(&lost, &caught, false, true), Some(Came::True));
        assert_eq!(settled(&ExpectedOutcome::Valid, &valid, false, true), None);
        assert_eq!(settled(&ExpectedOutcome::Valid, &valid, true, true), Some(Came::True));
        // The verdict is valid; a bound of what was measured is another matter.
        assert_eq!(settled(&ExpectedOutcome::Valid, &missed, true, true), Some(Came::True));
        assert_eq!(settled(&ExpectedOutcome::Valid, &unknown, false, true), Some(Came::Open));
        assert_eq!(settled(&ExpectedOutcome::Valid, &otherwise, false, true), Some(Came::False));
        // A seed that could not be judged may be the one that shows it.
        assert_eq!(settled(&lost, &valid, true, false), Some(Came::Open));
        let died = Finished { died: Some("a panic".to_owned()), ..run(Outcome::Violated, &[]) };
        assert_eq!(settled(&ExpectedOutcome::Valid, &died, false, true), Some(Came::False));
    }

    #[test]
    fn the_library_has_tries_that_can_be_run() {
        // The users of its REST interface cannot be simulated.
        let simulated = scenarios::BUILT_IN.iter().filter(|one| one.name != "rest-journeys");
        let names: Vec<PathBuf> = simulated.map(|one| PathBuf::from(one.name)).collect();
        let tries = Tries::of(&names).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        assert!(tries.total() > 100, "{}", tries.total());
        let refused = Tries::of(&["rest-journeys".into()]).err().expect("it is for real runs");
        assert!(refused.0.contains("cannot be simulated"), "{refused}");
    }
}
