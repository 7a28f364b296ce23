//! The operations of jobs under way: done as the process sees it, and still to happen on the disk.
//!
//! A job's code runs in one go when it begins, and its disk time passes afterwards. So a second job
//! can act on what the first one made before that is on the disk, which no real process does. Hence
//! the rule: operations on one file happen in order, whoever asked for them, and so do those of one job.

use super::Draw;
use super::file::Undo;
use super::state::Step;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub struct UnderWay {
    /// How many operations of each job there are.
    jobs: BTreeMap<u64, u64>,
    /// In the order in which they were asked for.
    operations: Vec<Operation>,
}

#[derive(Debug)]
pub struct Operation {
    job: u64,
    pub step: Step,
    pub undo: Option<Undo>,
}

impl UnderWay {
    pub fn begin(&mut self, job: u64) {
        self.jobs.insert(job, 0);
    }

    pub fn push(&mut self, job: u64, step: Step, undo: Option<Undo>) {
        *self.jobs.entry(job).or_default() += 1;
        self.operations.push(Operation { job, step, undo });
    }

    /// The job's syncs.
    pub fn syncs(&self, job: u64) -> u32 {
        let forced = |operation: &&Operation| {
            operation.job == job && matches!(operation.step, Step::Sync { .. } | Step::SyncDir)
        };
        self.operations.iter().filter(forced).count() as u32
    }

    /// Takes a job that is over, and whatever must have happened before it.
    pub fn finish(&mut self, job: u64) -> Vec<Step> {
        let mut done = Reach { jobs: BTreeSet::from([job]), files: BTreeSet::new() };
        let mut is_done: Vec<bool> =
            self.operations.iter().rev().map(|operation| done.reaches(operation)).collect();
        is_done.reverse();
        self.jobs.remove(&job);
        let mut is_done = is_done.into_iter();
        let finished = self.operations.extract_if(.., |_| is_done.next() == Some(true));
        let finished: Vec<Operation> = finished.collect();
        for operation in &finished {
            self.jobs.entry(operation.job).and_modify(|left| *left -= 1);
        }
        finished.into_iter().map(|operation| operation.step).collect()
    }

    /// Cuts every job after some of its operations: those that happened, and those that did not.
    pub fn cut(&mut self, draw: Draw<'_>) -> (Vec<Operation>, Vec<Operation>) {
        let mut left = std::mem::take(&mut self.jobs);
        for operations in left.values_mut() {
            *operations -= draw(*operations + 1);
        }
        let mut cut = Reach::default();
        std::mem::take(&mut self.operations).into_iter().partition(|operation| {
            match left.get_mut(&operation.job) {
                Some(left) if *left > 0 => *left -= 1,
                _ => drop(cut.jobs.insert(operation.job)),
            }
            !cut.reaches(operation)
        })
    }
}

/// What follows from some operations: everything behind them, or before them, in a job or on a file.
#[derive(Default)]
struct Reach {
    jobs: BTreeSet<u64>,
    files: BTreeSet<Option<usize>>,
}

impl Reach {
    fn reaches(&mut self, operation: &Operation) -> bool {
        let file = operation.step.file();
        let is_reached = self.jobs.contains(&operation.job) || self.files.contains(&file);
        if is_reached {
            self.jobs.insert(operation.job);
            self.files.insert(file);
        }
        is_reached
    }
}
