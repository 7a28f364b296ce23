//! A simulated disk: what a file system keeps, and what it forgets, when the power goes.
//!
//! Every file has two contents: what the running process reads (the page cache) and what would be
//! found after a power loss. A write reaches the second only through `sync_data`; a new name only
//! through `sync_dir`. A job of a worker is under way until its disk time has passed; a crash in that
//! window cuts it after a random operation, as if the process had died there.
//!
//! - kill: the page cache survives (all operations up to the cut).
//! - power loss: unsynced writes are kept, lost or torn at a 512-byte sector, each by a draw of its
//!   own (so a later write can survive an earlier one that did not).

use super::trace::{Kind, Trace};
use ports::{Disk, DiskFile, entered};
use rand::{Rng, RngCore};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

/// Sectors are written whole.
const SECTOR: u64 = 512;

/// The disk of one host; clones are the same disk. It outlives the host's processes.
#[derive(Clone, Debug, Default)]
pub struct SimDisk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    trace: Trace,
    files: Vec<File>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    jobs: Vec<(u64, Vec<Step>)>,
    running: Option<u64>,
    next_job: u64,
}

#[derive(Debug, Default)]
struct File {
    cache: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write { offset: u64, data: Vec<u8> },
    SetLen(u64),
}

/// One operation of a job under way, with what is needed to take it back.
#[derive(Debug)]
enum Step {
    Change { file: usize, change: Change, old_len: u64, old: Vec<u8> },
    Sync { file: usize },
    Create { name: String },
    Remove { name: String, file: usize },
    SyncDir,
}

/// What a power loss did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Writes that vanished whole.
    pub lost: u64,
    /// Writes of which some sectors survived.
    pub torn: u64,
    /// Operations of jobs under way that never happened.
    pub cut: u64,
}

impl SimDisk {
    /// An empty disk.
    pub fn new(trace: Trace) -> Self {
        Self(Arc::new(Mutex::new(State { trace, ..State::default() })))
    }

    /// A worker begins a job: what is written from now on belongs to it.
    pub fn begin_job(&self) -> u64 {
        let mut state = self.lock();
        let job = state.next_job;
        state.next_job += 1;
        state.jobs.push((job, Vec::new()));
        state.running = Some(job);
        job
    }

    /// The job's code has run; how many forced writes it asked for.
    pub fn end_job(&self, job: u64) -> u32 {
        let mut state = self.lock();
        state.running = None;
        state.jobs.iter().find(|(id, _)| *id == job).map_or(0, |(_, steps)| {
            steps.iter().filter(|step| matches!(step, Step::Sync { .. } | Step::SyncDir)).count()
                as u32
        })
    }

    /// The job's disk time has passed: it can no longer be cut.
    pub fn settle_job(&self, job: u64) {
        let mut state = self.lock();
        if let Some(at) = state.jobs.iter().position(|(id, _)| *id == job) {
            let (_, steps) = state.jobs.remove(at);
            for step in steps {
                state.settle(step);
            }
        }
    }

    /// The process dies; the operating system lives on.
    pub fn kill(&self, random: &mut dyn RngCore) -> Losses {
        let mut state = self.lock();
        let cut = state.cut_jobs(random);
        Losses { cut, ..Losses::default() }
    }

    /// The machine loses its power.
    pub fn power_loss(&self, random: &mut dyn RngCore) -> Losses {
        let mut state = self.lock();
        let mut losses = Losses { cut: state.cut_jobs(random), ..Losses::default() };
        for file in &mut state.files {
            file.lose_power(random, &mut losses);
        }
        state.names = state.durable_names.clone();
        losses
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        entered(self.0.lock())
    }
}

impl State {
    /// Notes a step of the running job; outside of jobs it settles at once.
    fn step(&mut self, step: Step) {
        self.tell(&step);
        let running = self.running;
        match self.jobs.iter_mut().find(|(id, _)| Some(*id) == running) {
            Some((_, steps)) => steps.push(step),
            None => self.settle(step),
        }
    }

    /// A step, as the host's trace has it.
    fn tell(&self, step: &Step) {
        let (word, place, bytes): (u64, u64, &[u8]) = match step {
            Step::Change { file, change: Change::Write { offset, data }, .. } => {
                self.trace.number(Kind::Disk, *file as u64);
                (1, *offset, data)
            }
            Step::Change { file, change: Change::SetLen(len), .. } => {
                (2, *len, &file.to_le_bytes())
            }
            Step::Sync { file } => (3, *file as u64, &[]),
            Step::Create { name } => (4, 0, name.as_bytes()),
            Step::Remove { name, .. } => (5, 0, name.as_bytes()),
            Step::SyncDir => (6, 0, &[]),
        };
        self.trace.number(Kind::Disk, word);
        self.trace.number(Kind::Disk, place);
        self.trace.bytes(Kind::Disk, bytes);
    }

    fn settle(&mut self, step: Step) {
        match step {
            Step::Change { file, change, .. } => self.files[file].unsynced.push(change),
            Step::Sync { file } => self.files[file].sync(),
            Step::Create { .. } | Step::Remove { .. } => {}
            Step::SyncDir => self.durable_names = self.names.clone(),
        }
    }

    /// Cuts every job under way after a random number of its operations.
    fn cut_jobs(&mut self, random: &mut dyn RngCore) -> u64 {
        self.running = None;
        let mut cut = 0;
        for (_, mut steps) in std::mem::take(&mut self.jobs) {
            let keep = random.random_range(0..=steps.len());
            self.trace.number(Kind::Disk, keep as u64);
            cut += (steps.len() - keep) as u64;
            for step in steps.drain(keep..).rev() {
                self.take_back(step);
            }
            for step in steps {
                self.settle(step);
            }
        }
        cut
    }

    fn take_back(&mut self, step: Step) {
        match step {
            Step::Change { file, change, old_len, old } => {
                let cache = &mut self.files[file].cache;
                if let Change::Write { offset, .. } = change {
                    let start = offset as usize;
                    cache[start..start + old.len()].copy_from_slice(&old);
                    cache.truncate(old_len as usize);
                } else {
                    cache.truncate(old_len as usize);
                    cache.extend_from_slice(&old);
                }
            }
            Step::Create { name } => drop(self.names.remove(&name)),
            Step::Remove { name, file } => drop(self.names.insert(name, file)),
            Step::Sync { .. } | Step::SyncDir => {}
        }
    }
}

impl File {
    fn sync(&mut self) {
        for change in self.unsynced.drain(..) {
            apply(&mut self.durable, &change);
        }
    }

    fn lose_power(&mut self, random: &mut dyn RngCore, losses: &mut Losses) {
        for change in std::mem::take(&mut self.unsynced) {
            match (random.random_range(0..3_u8), change) {
                (0, _) => losses.lost += 1,
                (1, Change::Write { offset, data }) if data.len() as u64 > SECTOR => {
                    losses.torn += 1;
                    for (at, sector) in sectors(offset, &data) {
                        if random.random_bool(0.5) {
                            let data = sector.to_vec();
                            apply(&mut self.durable, &Change::Write { offset: at, data });
                        }
                    }
                }
                (_, change) => apply(&mut self.durable, &change),
            }
        }
        self.cache = self.durable.clone();
    }
}

/// Splits a write at the sector borders.
fn sectors(offset: u64, data: &[u8]) -> Vec<(u64, &[u8])> {
    let mut pieces = Vec::new();
    let (mut at, mut rest) = (offset, data);
    while !rest.is_empty() {
        let length = ((SECTOR - at % SECTOR) as usize).min(rest.len());
        let (piece, behind) = rest.split_at(length);
        pieces.push((at, piece));
        at += length as u64;
        rest = behind;
    }
    pieces
}

fn apply(content: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write { offset, data } => {
            let start = *offset as usize;
            if content.len() < start + data.len() {
                content.resize(start + data.len(), 0);
            }
            content[start..start + data.len()].copy_from_slice(data);
        }
        Change::SetLen(length) => content.resize(*length as usize, 0),
    }
}

impl Disk for SimDisk {
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.lock();
        let file = if let Some(&file) = state.names.get(name) {
            file
        } else {
            state.files.push(File::default());
            let file = state.files.len() - 1;
            state.names.insert(name.to_owned(), file);
            state.step(Step::Create { name: name.to_owned() });
            file
        };
        Ok(Box::new(OpenFile { disk: self.clone(), file }))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.lock().names.keys().cloned().collect())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.lock();
        let file = state.names.remove(name).ok_or(io::ErrorKind::NotFound)?;
        state.step(Step::Remove { name: name.to_owned(), file });
        Ok(())
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.lock().step(Step::SyncDir);
        Ok(())
    }
}

struct OpenFile {
    disk: SimDisk,
    file: usize,
}

impl DiskFile for OpenFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let state = self.disk.lock();
        let cache = &state.files[self.file].cache;
        let start = offset as usize;
        let content = cache.get(start..start + buffer.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(content);
        Ok(())
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.disk.lock();
        let cache = &mut state.files[self.file].cache;
        let old_len = cache.len() as u64;
        let start = (offset as usize).min(cache.len());
        let end = (offset as usize + data.len()).min(cache.len());
        let old = cache[start..end].to_vec();
        let change = Change::Write { offset, data: data.to_vec() };
        apply(cache, &change);
        state.step(Step::Change { file: self.file, change, old_len, old });
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.lock().step(Step::Sync { file: self.file });
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.lock().files[self.file].cache.len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.disk.lock();
        let cache = &mut state.files[self.file].cache;
        let old_len = cache.len() as u64;
        let old = cache.get(len as usize..).map(<[u8]>::to_vec).unwrap_or_default();
        apply(cache, &Change::SetLen(len));
        // Taking it back cuts to the shorter of the two lengths first, then restores the tail.
        let kept = old_len.min(len);
        state.step(Step::Change {
            file: self.file,
            change: Change::SetLen(len),
            old_len: kept,
            old,
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests;
