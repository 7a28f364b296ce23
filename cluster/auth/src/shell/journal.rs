//! The journal on the disk port: recovery, group commit, compaction.
//!
//! Files are generations, `auth-00000001.journal`: the disk port cannot rename, so a compaction
//! writes the next generation, syncs it and its directory, and only then removes the earlier one.
//! What the bytes mean is `core::journal`'s business.

use crate::core::journal;
use crate::core::state::{Record, Snapshot, State};
use ports::tasks::run_on;
use ports::{Disk, DiskFile, Worker};
use protocol::limits::AuthLimits;
use std::io;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The disk failed; what was under way is not confirmed.
    #[error("the disk of the auth service")]
    Disk(#[from] io::Error),
    /// A journal that was in use has lost its beginning. Starting afresh would forget revocations.
    #[error("the beginning of {file} is damaged ({length} bytes)")]
    Damaged {
        /// The file.
        file: String,
        /// Its length.
        length: u64,
    },
    /// The worker is gone: the node dies.
    #[error("the disk worker is gone")]
    WorkerGone,
}

/// Records that wait for the disk, and who is told.
pub struct Commit {
    records: Vec<Record>,
    confirm: oneshot::Sender<()>,
}

/// Puts records in line. Cheap to clone.
#[derive(Clone)]
pub struct Commits(mpsc::UnboundedSender<Commit>);

/// Ends with an error if the records were not written.
pub type Confirm = oneshot::Receiver<()>;

impl Commits {
    /// A line.
    pub fn new() -> (Self, mpsc::UnboundedReceiver<Commit>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    /// Puts records in line; without any, the confirm waits for those before. The line is bounded by
    /// the connections of the server: each waits for its own confirm.
    pub fn put(&self, records: Vec<Record>) -> Confirm {
        let (confirm, confirmed) = oneshot::channel();
        // If the writer is gone, the confirm is dropped with the commit and the receiver errs.
        let _ = self.0.send(Commit { records, confirm });
        confirmed
    }
}

/// An open journal; the only writer of its files.
pub struct Journal {
    worker: Arc<dyn Worker>,
    files: Arc<Files>,
    generation: u64,
    file: Arc<dyn DiskFile>,
    length: u64,
    compact_at: u64,
    limits: AuthLimits,
}

struct Files(Arc<dyn Disk>);

impl Journal {
    /// Recovers the state, or makes a first journal with this seed for the signing key.
    pub async fn open(
        disk: Arc<dyn Disk>,
        worker: Arc<dyn Worker>,
        seed: [u8; 32],
        limits: AuthLimits,
    ) -> Result<(Self, State), JournalError> {
        let files = Arc::new(Files(disk));
        let on_worker = Arc::clone(&files);
        let opened = run_on(&*worker, move || on_worker.open(seed)).await;
        let (generation, file, length, state) = opened.ok_or(JournalError::WorkerGone)??;
        let compact_at = limits.journal_bytes;
        Ok((Self { worker, files, generation, file, length, compact_at, limits }, state))
    }

    /// Writes what comes in line, until the line is gone or the disk fails. A failed write or sync is
    /// never tried again: what the file holds then is unknown, and the next start finds out.
    pub async fn run(
        mut self,
        mut line: mpsc::UnboundedReceiver<Commit>,
        snapshot: impl Fn() -> Snapshot,
    ) -> Result<(), JournalError> {
        let mut group = Vec::new();
        while line.recv_many(&mut group, self.limits.group_commit).await > 0 {
            let mut bytes = Vec::new();
            for commit in &group {
                for record in &commit.records {
                    journal::write(record, &mut bytes);
                }
            }
            if !bytes.is_empty() {
                self.append(bytes).await?;
            }
            for commit in group.drain(..) {
                // The client may have gone away meanwhile.
                let _ = commit.confirm.send(());
            }
            if self.length >= self.compact_at {
                self.compact(snapshot()).await?;
            }
        }
        Ok(())
    }

    async fn append(&mut self, bytes: Vec<u8>) -> Result<(), JournalError> {
        let (file, at) = (Arc::clone(&self.file), self.length);
        self.length += bytes.len() as u64;
        let written = run_on(&*self.worker, move || {
            file.write_at(at, &bytes)?;
            file.sync_data()
        });
        Ok(written.await.ok_or(JournalError::WorkerGone)??)
    }

    /// Goes on in the next generation. The snapshot may be ahead of the journal: records that wait in
    /// line are applied to it twice, which changes nothing.
    async fn compact(&mut self, snapshot: Snapshot) -> Result<(), JournalError> {
        let (files, generation) = (Arc::clone(&self.files), self.generation);
        let made = run_on(&*self.worker, move || {
            let made = files.make(generation + 1, snapshot)?;
            files.remove(generation)?;
            Ok::<_, io::Error>(made)
        });
        let (file, length) = made.await.ok_or(JournalError::WorkerGone)??;
        (self.generation, self.file, self.length) = (generation + 1, file, length);
        self.compact_at = self.limits.journal_bytes.max(length * self.limits.journal_factor);
        Ok(())
    }
}

type Opened = (u64, Arc<dyn DiskFile>, u64, State);

impl Files {
    /// Opens the newest generation that is whole, and removes the others.
    fn open(&self, seed: [u8; 32]) -> Result<Opened, JournalError> {
        let mut generations = self.generations()?;
        generations.sort_unstable();
        let mut damaged = None;
        for (place, &generation) in generations.iter().enumerate().rev() {
            let (file, bytes) = self.read(generation)?;
            if let Some((state, good)) = journal::read(&bytes) {
                // New records must not follow a hole: a torn end is cut off before they are written.
                file.set_len(good as u64)?;
                file.sync_data()?;
                for &other in generations.iter().filter(|other| **other != generation) {
                    self.remove(other)?;
                }
                return Ok((generation, file, good as u64, state));
            }
            // A later generation that is not whole was never used: its predecessor is still there.
            // The very first one may be torn before anything was confirmed.
            let never_used = generation == 0 && bytes.len() as u64 <= first_length();
            if place == 0 && !never_used {
                damaged = Some((name(generation), bytes.len() as u64));
            }
        }
        if let Some((file, length)) = damaged {
            return Err(JournalError::Damaged { file, length });
        }
        let state = State::new(seed);
        let (file, length) = self.make(0, state.to_snapshot(0))?;
        Ok((0, file, length, state))
    }

    fn generations(&self) -> io::Result<Vec<u64>> {
        let number = |name: &String| {
            name.strip_prefix("auth-")?.strip_suffix(".journal")?.parse::<u64>().ok()
        };
        Ok(self.0.list()?.iter().filter_map(number).collect())
    }

    fn read(&self, generation: u64) -> io::Result<(Arc<dyn DiskFile>, Vec<u8>)> {
        let file: Arc<dyn DiskFile> = self.0.open(&name(generation))?.into();
        let mut bytes = vec![0; file.len()? as usize];
        file.read_at(0, &mut bytes)?;
        Ok((file, bytes))
    }

    /// A new generation that begins with this snapshot, durable.
    fn make(&self, generation: u64, snapshot: Snapshot) -> io::Result<(Arc<dyn DiskFile>, u64)> {
        let mut bytes = Vec::new();
        journal::write(&Record::Snapshot(snapshot), &mut bytes);
        let file: Arc<dyn DiskFile> = self.0.open(&name(generation))?.into();
        file.set_len(0)?;
        file.write_at(0, &bytes)?;
        file.sync_data()?;
        self.0.sync_dir()?;
        Ok((file, bytes.len() as u64))
    }

    fn remove(&self, generation: u64) -> io::Result<()> {
        self.0.remove(&name(generation))?;
        self.0.sync_dir()
    }
}

fn name(generation: u64) -> String {
    format!("auth-{generation:08}.journal")
}

/// The length of a journal in which nothing has happened yet.
fn first_length() -> u64 {
    let mut bytes = Vec::new();
    journal::write(&Record::Snapshot(State::new([0; 32]).to_snapshot(0)), &mut bytes);
    bytes.len() as u64
}
