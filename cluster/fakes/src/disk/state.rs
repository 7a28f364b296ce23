//! The state of a disk: files, names, jobs under way.

use super::Draw;
use super::file::{Change, File, Undo};
use super::under_way::UnderWay;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Arc;

/// Is told each change of a disk.
#[derive(Clone)]
pub struct Watch(pub Arc<dyn Fn(&Step) + Send + Sync>);

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}

/// What goes wrong with every write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// There is no room: a write takes a part, and a file cannot be made.
    Full,
    /// Writes are taken, and syncs fail.
    Sync,
    /// Syncs succeed and do nothing.
    Lies,
}

/// What a kill or a power loss did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Writes that vanished whole.
    pub lost: u64,
    /// Writes of which some sectors survived.
    pub torn: u64,
    /// Operations of jobs under way that never happened.
    pub cut: u64,
}

/// One operation. Files have numbers, in the order of their creation.
#[derive(Clone, Debug, Hash)]
pub enum Step {
    /// Of a file's content.
    Change { file: usize, change: Change },
    /// A file is forced.
    Sync { file: usize },
    /// A name is made.
    Create { name: String, file: usize },
    /// A name is removed.
    Remove { name: String, file: usize },
    /// Names are forced.
    SyncDir,
}

impl Step {
    /// The file, or nothing for the names.
    pub const fn file(&self) -> Option<usize> {
        match self {
            Self::Change { file, .. } | Self::Sync { file } => Some(*file),
            Self::Create { .. } | Self::Remove { .. } | Self::SyncDir => None,
        }
    }
}

/// The process that uses the disk: one after another.
pub type Running = u64;

#[derive(Debug, Default)]
pub struct State {
    pub watch: Option<Watch>,
    pub files: Vec<File>,
    pub names: BTreeMap<String, usize>,
    pub running: Running,
    pub failure: Option<Failure>,
    pub power_off_after: Option<u64>,
    pub changes: u64,
    /// Who fills the disk, and what was refused before.
    fullness: BTreeMap<u32, u64>,
    pub refused: u64,
    /// As far as operations on them are done: what is under way belongs to other jobs, and is not forced with them.
    settled_names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    under_way: UnderWay,
    job: Option<u64>,
    next_job: u64,
}

/// Without the jobs under way, and for nobody's handles.
impl Clone for State {
    fn clone(&self) -> Self {
        Self {
            files: self.files.clone(),
            names: self.names.clone(),
            settled_names: self.settled_names.clone(),
            durable_names: self.durable_names.clone(),
            ..Self::default()
        }
    }
}

impl State {
    pub fn begin_job(&mut self) -> u64 {
        let job = self.next_job;
        self.next_job += 1;
        self.under_way.begin(job);
        self.job = Some(job);
        job
    }

    pub fn end_job(&mut self, job: u64) -> u32 {
        self.job = None;
        self.under_way.syncs(job)
    }

    pub fn settle_job(&mut self, job: u64) {
        for step in self.under_way.finish(job) {
            self.settle(step);
        }
    }

    pub fn kill(&mut self, draw: Draw<'_>) -> Losses {
        self.running += 1;
        self.job = None;
        let (happened, cut) = self.under_way.cut(draw);
        let losses = Losses { cut: cut.len() as u64, ..Losses::default() };
        for operation in cut.into_iter().rev() {
            self.take_back(operation.step, operation.undo);
        }
        for operation in happened {
            self.settle(operation.step);
        }
        losses
    }

    pub fn power_loss(&mut self, draw: Draw<'_>) -> Losses {
        let mut losses = self.kill(draw);
        (self.failure, self.power_off_after) = (None, None);
        for file in &mut self.files {
            file.lose_power(draw, &mut losses);
        }
        for (name, file) in &self.names {
            if self.durable_names.get(name) != Some(file) && draw(2) == 0 {
                self.durable_names.insert(name.clone(), *file);
            }
        }
        self.durable_names.retain(|name, _| self.names.contains_key(name) || draw(2) != 0);
        self.names.clone_from(&self.durable_names);
        self.settled_names.clone_from(&self.durable_names);
        losses
    }

    pub fn open(&mut self, name: &str) -> io::Result<usize> {
        self.check(self.running)?;
        if let Some(file) = self.names.get(name) {
            return Ok(*file);
        }
        self.room()?;
        let file = self.files.len();
        self.step(Step::Create { name: name.to_owned(), file })?;
        Ok(file)
    }

    pub fn remove(&mut self, name: &str) -> io::Result<()> {
        let file = *self.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        self.step(Step::Remove { name: name.to_owned(), file })
    }

    pub fn put(&mut self, name: &str, contents: &[u8]) {
        let file = File { cache: contents.into(), durable: contents.into(), unsynced: Vec::new() };
        self.files.push(file);
        for names in [&mut self.names, &mut self.settled_names, &mut self.durable_names] {
            names.insert(name.to_owned(), self.files.len() - 1);
        }
    }

    pub fn write(&mut self, file: usize, offset: u64, data: &[u8]) -> io::Result<()> {
        let room = self.room();
        let taken = if room.is_err() { &data[..data.len() / 2] } else { data };
        let change = Change::Write { offset, data: taken.to_vec() };
        self.step(Step::Change { file, change })?;
        room
    }

    pub fn fill(&mut self, holder: u32) {
        self.fullness.insert(holder, self.refused);
    }

    pub fn free(&mut self, holder: u32) -> u64 {
        self.fullness.remove(&holder).map_or(0, |before| self.refused - before)
    }

    /// Whether there is room for a write or a file.
    fn room(&mut self) -> io::Result<()> {
        if self.failure != Some(Failure::Full) && self.fullness.is_empty() {
            return Ok(());
        }
        self.refused += 1;
        Err(io::ErrorKind::StorageFull.into())
    }

    pub fn set_len(&mut self, file: usize, len: u64) -> io::Result<()> {
        self.step(Step::Change { file, change: Change::SetLen(len) })
    }

    /// Forces a file, or the names.
    pub fn sync(&mut self, file: Option<usize>) -> io::Result<()> {
        if self.failure == Some(Failure::Sync) {
            return Err(io::Error::other("the sync failed"));
        }
        self.step(file.map_or(Step::SyncDir, |file| Step::Sync { file }))
    }

    /// Whether a process still runs, on a disk with power.
    pub fn check(&self, running: Running) -> io::Result<()> {
        match self.power_off_after {
            Some(0) => Err(io::Error::other("the power is off")),
            _ if running != self.running => Err(io::Error::other("opened before the crash")),
            _ => Ok(()),
        }
    }

    /// Does one operation, which belongs to the job that runs, if any.
    fn step(&mut self, step: Step) -> io::Result<()> {
        self.check(self.running)?;
        if let Some(left) = &mut self.power_off_after {
            *left -= 1;
        }
        self.changes += 1;
        if let Some(watch) = &self.watch {
            (watch.0)(&step);
        }
        let undo = self.apply(&step);
        if let Some(job) = self.job {
            self.under_way.push(job, step, undo);
        } else {
            // A job of its own, which takes no time.
            let job = self.begin_job();
            self.under_way.push(job, step, undo);
            self.end_job(job);
            self.settle_job(job);
        }
        Ok(())
    }

    /// What the process sees of an operation.
    fn apply(&mut self, step: &Step) -> Option<Undo> {
        match step {
            Step::Change { file, change } => return Some(self.files[*file].change(change)),
            Step::Create { name, file } => {
                self.files.push(File::default());
                self.names.insert(name.clone(), *file);
            }
            Step::Remove { name, .. } => drop(self.names.remove(name)),
            Step::Sync { .. } | Step::SyncDir => {}
        }
        None
    }

    fn take_back(&mut self, step: Step, undo: Option<Undo>) {
        match (step, undo) {
            (Step::Change { file, .. }, Some(undo)) => self.files[file].take_back(&undo),
            (Step::Create { name, .. }, _) => drop(self.names.remove(&name)),
            (Step::Remove { name, file }, _) => drop(self.names.insert(name, file)),
            _ => {}
        }
    }

    /// What the disk has of an operation whose time has passed.
    fn settle(&mut self, step: Step) {
        let lies = self.failure == Some(Failure::Lies);
        match step {
            Step::Change { file, change } => self.files[file].unsynced.push(change),
            Step::Sync { file } if !lies => self.files[file].sync(),
            Step::Create { name, file } => drop(self.settled_names.insert(name, file)),
            Step::Remove { name, .. } => drop(self.settled_names.remove(&name)),
            Step::SyncDir if !lies => self.durable_names.clone_from(&self.settled_names),
            Step::Sync { .. } | Step::SyncDir => {}
        }
    }
}
