//! The issuer's log: recovery, group commit, compaction.
//!
//! It begins with a snapshot. A compaction writes another one at the beginning of a new segment, and
//! gives up the segments before it.

use crate::core::state::{Record, Snapshot, State};
use ports::disk::is_full;
use ports::tasks::run_on;
use ports::{Disk, Worker};
use protocol::backoff::bound;
use protocol::limits::AuthLimits;
use segments::{Appended, Checked, Force, Format, LogError, Options, Presence};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// The log. Version 1 had files of its own.
pub const FORMAT: Format = Format { prefix: "auth", magic: *b"FRACASA2" };

/// Whether a disk has the log of an issuer, of this version or the one before.
///
/// # Errors
/// The disk refused.
pub fn is_on(disk: &dyn Disk) -> io::Result<bool> {
    Ok(version_1(disk)?.is_some() || FORMAT.presence(disk)? != Presence::Absent)
}

/// Reads an issuer's log and changes nothing: what is sound, and what a start would say.
pub fn check(disk: &dyn Disk) -> (Checked, Result<(), LogError>) {
    match version_1(disk) {
        Ok(None) => segments::check::<Record>(disk, FORMAT),
        Ok(Some(file)) => (Checked::default(), Err(older(file))),
        Err(source) => (Checked::default(), Err(LogError::Disk { file: ".".to_owned(), source })),
    }
}

/// Why the log cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The disk refused the first snapshot.
    #[error("the disk of the auth service")]
    Disk(#[from] io::Error),
    /// The worker is gone: the node dies.
    #[error("the disk worker is gone")]
    WorkerGone,
}

impl OpenError {
    /// Whether the disk had no room: that passes.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Log(error) => error.is_full(),
            Self::Disk(error) => is_full(error),
            Self::WorkerGone => false,
        }
    }
}

/// Records that wait for the disk, and who is told.
pub struct Commit {
    records: Vec<Record>,
    confirm: oneshot::Sender<()>,
}

/// Puts records in line. Cheap to clone.
#[derive(Clone)]
pub struct Commits {
    line: mpsc::UnboundedSender<Commit>,
    stalled: Arc<AtomicBool>,
}

/// The other end of the line.
pub struct Line {
    commits: mpsc::UnboundedReceiver<Commit>,
    stalled: Arc<AtomicBool>,
}

/// Ends with an error if the node dies before the records are written.
pub type Confirm = oneshot::Receiver<()>;

impl Commits {
    /// A line.
    pub fn new() -> (Self, Line) {
        let (line, commits) = mpsc::unbounded_channel();
        let stalled = Arc::<AtomicBool>::default();
        (Self { line, stalled: Arc::clone(&stalled) }, Line { commits, stalled })
    }

    /// Puts records in line; without any, the confirm waits for those before. The line is bounded by
    /// the connections of the server: each waits for its own confirm.
    pub fn put(&self, records: Vec<Record>) -> Confirm {
        let (confirm, confirmed) = oneshot::channel();
        // If the writer is gone, the confirm is dropped with the commit and the receiver errs.
        let _ = self.line.send(Commit { records, confirm });
        confirmed
    }

    /// Whether the last write failed: nothing new should be decided before one has succeeded.
    pub fn are_stalled(&self) -> bool {
        self.stalled.load(Ordering::Relaxed)
    }
}

/// An open log; the only writer of its files.
pub struct Log {
    worker: Arc<dyn Worker>,
    segments: segments::Log,
    /// Bytes since the last snapshot, with it.
    bytes: u64,
    compact_at: u64,
    limits: AuthLimits,
}

/// Pause after a failed write, doubled up to the longest: the disk may be full for a while.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

impl Log {
    /// Recovers the state, or makes a first log with this seed for the signing key.
    pub async fn open(
        disk: Arc<dyn Disk>,
        worker: Arc<dyn Worker>,
        seed: [u8; 32],
        limits: AuthLimits,
    ) -> Result<(Self, State), OpenError> {
        let opened = run_on(&*worker, move || recover(disk, seed)).await;
        let (segments, bytes, state) = opened.ok_or(OpenError::WorkerGone)??;
        let compact_at = limits.journal_bytes;
        Ok((Self { worker, segments, bytes, compact_at, limits }, state))
    }

    /// Writes what comes in line, until the line or the node is gone. A write that fails is tried again
    /// until it succeeds: what was decided stays decided.
    pub async fn run(mut self, mut line: Line, snapshot: impl Fn() -> Snapshot) {
        let mut group = Vec::new();
        while line.commits.recv_many(&mut group, self.limits.group_commit).await > 0 {
            let records: Vec<Record> =
                group.iter_mut().flat_map(|commit| std::mem::take(&mut commit.records)).collect();
            if !records.is_empty() {
                let Some(written) = self.append(Arc::new(records), &line.stalled).await else {
                    return;
                };
                self = written;
            }
            for commit in group.drain(..) {
                // The client may have gone away meanwhile.
                let _ = commit.confirm.send(());
            }
            if self.bytes >= self.compact_at {
                // The snapshot may be ahead of the log: records that wait in line are applied to it
                // twice, which changes nothing.
                let Some(compacted) = self.compact(snapshot()).await else { return };
                self = compacted;
            }
        }
    }

    async fn append(mut self, records: Arc<Vec<Record>>, stalled: &AtomicBool) -> Option<Self> {
        for failures in 0.. {
            let (mut log, group) = (self.segments, Arc::clone(&records));
            let write = move || {
                let appended = log.append(&group, Force::Always);
                (log, appended)
            };
            let (log, appended) = run_on(&*self.worker, write).await?;
            self.segments = log;
            match appended {
                Ok(Appended { bytes, .. }) => {
                    stalled.store(false, Ordering::Relaxed);
                    self.bytes += bytes;
                    return Some(self);
                }
                Err(error) => {
                    if !stalled.swap(true, Ordering::Relaxed) {
                        tracing::error!(%error, "cannot write the issuer's log: nothing is answered until it can be");
                    }
                    tokio::time::sleep(bound(FIRST_PAUSE, LONGEST_PAUSE, failures)).await;
                }
            }
        }
        None
    }

    /// Goes on in a new segment that begins with this snapshot. If that fails, the log only grows, until
    /// the next time.
    async fn compact(mut self, snapshot: Snapshot) -> Option<Self> {
        let mut log = self.segments;
        let make = move || {
            let through = log.rotate();
            let made = log.append(&[Record::Snapshot(snapshot)], Force::Always);
            let made = made.and_then(|made| log.remove_through(through).map(|()| made.bytes));
            (log, made)
        };
        let (log, made) = run_on(&*self.worker, make).await?;
        self.segments = log;
        match made {
            Ok(bytes) => {
                self.bytes = bytes;
                self.compact_at = self.limits.journal_bytes.max(bytes * self.limits.journal_factor);
            }
            Err(error) => {
                tracing::warn!(%error, "cannot compact the issuer's log");
                self.compact_at = self.bytes + self.limits.journal_bytes;
            }
        }
        Some(self)
    }
}

fn recover(disk: Arc<dyn Disk>, seed: [u8; 32]) -> Result<(segments::Log, u64, State), OpenError> {
    if let Some(file) = version_1(&*disk)? {
        return Err(older(file).into());
    }
    let options = Options { disk, format: FORMAT, segment_bytes: u64::MAX, fsync: true };
    let mut state = None;
    let opened = segments::open(options, |record: Record, _| match record {
        Record::Snapshot(snapshot) => state = Some(State::from_snapshot(snapshot)),
        record => {
            let state: &mut State = state.as_mut().expect("a log begins with a snapshot");
            state.apply(&record);
        }
    })?;
    let mut log = opened.log;
    if let Some(state) = state {
        return Ok((log, opened.lengths.values().sum(), state));
    }
    let state = State::new(seed);
    let made = log.append(&[Record::Snapshot(state.to_snapshot(0))], Force::Always)?;
    Ok((log, made.bytes, state))
}

/// A file of version 1.
fn version_1(disk: &dyn Disk) -> io::Result<Option<String>> {
    let is_one = |name: &String| name.starts_with("auth-") && name.ends_with(".journal");
    Ok(disk.list()?.into_iter().find(is_one))
}

const fn older(file: String) -> LogError {
    LogError::Version { file, found: '1', reads: '2' }
}
