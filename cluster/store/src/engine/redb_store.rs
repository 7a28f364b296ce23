//! The embedded engine: a log in front of a tree.
//!
//! # Why
//! A tree commits by writing every page that it touches. A group of messages touches a page or two
//! for each of its conversations, so that commits of groups cost several kilobytes a message. In the
//! log a group is one record and one forced write; the tree takes in some thousand messages at a time,
//! several of each conversation on one page.
//!
//! # Order
//! Groups are numbered without a gap. `Tree::write` says in the same transaction which group is its
//! last, and only then are the segments before it removed. Opening takes the tree, and from the log
//! what is behind it, up to the first gap; leases of later groups count all the same, because two
//! owners under one epoch are worse than a gap in an epoch.
//!
//! # Who writes what
//! Commits and claims write the log only, checkpoints the tree only. So they can go on side by side,
//! and a crash in the middle of one never touches what the other has made durable.

use super::layer::Layer;
use super::tree::Tree;
use super::view::LayeredView;
use ports::message_store::{Lease, MessageStore, Place, StoreError, StoreView, WriteBatch};
use ports::{Disk, entered};
use protocol::design::Fsync;
use protocol::limits::StoreLimits;
use protocol::{Epoch, Partition};
use segments::{Format, Log, LogError, Opened, Options};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

/// The log.
const FORMAT: Format = Format { prefix: "store", magic: *b"FRACASS1" };
/// A record of the log.
#[derive(Serialize, Deserialize)]
struct Group<'a> {
    number: u64,
    acquired: Option<Lease>,
    batch: Cow<'a, WriteBatch>,
}

/// A log and a redb database on a disk. Dropped without `close`, they leave the disk as a killed
/// process would.
pub struct RedbStore {
    limits: StoreLimits,
    tree: Tree,
    /// Held from the check of a commit's leases until its rows are in a layer, so that the log and
    /// the layers have one order.
    log: Mutex<Log>,
    state: Mutex<State>,
}

struct State {
    epochs: BTreeMap<Partition, Epoch>,
    /// Oldest first. Only the last one grows, and only while nobody looks at it.
    layers: Vec<Arc<Layer>>,
    /// The number of the last group.
    last: u64,
    /// The last group in the tree.
    in_tree: u64,
    /// Bytes of the log that are not in the tree, and those that a running checkpoint takes in.
    bytes: u64,
    /// What a checkpoint has written, until it is over.
    written: Option<Written>,
    /// The log is not needed up to this segment.
    unneeded: Option<u32>,
}

/// What a checkpoint has written to the tree: layers with so many bytes, up to a group, and the log's
/// segments up to one. As long as these layers are here, nobody lays rows over the last of them.
struct Written {
    layers: Vec<Arc<Layer>>,
    bytes: u64,
    through: u64,
    segment: u32,
}

impl RedbStore {
    /// Opens what is on the disk, or makes it, whosever it is.
    pub fn open(disk: Arc<dyn Disk>, fsync: Fsync) -> Result<Self, StoreError> {
        Self::opened(disk, fsync, None, StoreLimits::default())
    }

    /// The same for one place: a new disk remembers it, and one of another place is refused.
    pub fn open_at(
        disk: Arc<dyn Disk>,
        fsync: Fsync,
        place: Place,
        limits: StoreLimits,
    ) -> Result<Self, StoreError> {
        Self::opened(disk, fsync, Some(place), limits)
    }

    fn opened(
        disk: Arc<dyn Disk>,
        fsync: Fsync,
        place: Option<Place>,
        limits: StoreLimits,
    ) -> Result<Self, StoreError> {
        let tree = Tree::open(Arc::clone(&disk), place, limits.cache_bytes)?;
        let (in_tree, epochs) = tree.written()?;
        let mut state = State {
            epochs,
            layers: Vec::new(),
            last: in_tree,
            in_tree,
            bytes: 0,
            written: None,
            unneeded: None,
        };
        let (fsync, mut highest) = (fsync == Fsync::Always, in_tree);
        let options = Options { disk, format: FORMAT, segment_bytes: u64::MAX, fsync };
        let mut layer = Layer::default();
        let opened = segments::open(options, |group: Group<'static>, _| {
            if let Some(lease) = group.acquired {
                state.lease(&mut layer, lease);
            }
            highest = group.number.max(highest);
            if group.number == state.last + 1 {
                state.last = group.number;
                layer.merge(&group.batch);
            }
        });
        let Opened { log, lengths, damaged } = opened.map_err(|error| match error {
            LogError::Disk { .. } => unavailable(&error),
            LogError::Format { .. } => StoreError::Corrupt(error.to_string()),
        })?;
        let gap = highest > state.last;
        if fsync && (gap || !damaged.is_empty()) {
            let last = state.last;
            return Err(StoreError::Corrupt(format!(
                "the store's log ends early, at group {last}: the tree has the groups up to {in_tree}, \
                 the log has some up to {highest}, segments {:?}, of these damaged {damaged:?}",
                lengths.keys().collect::<Vec<_>>()
            )));
        }
        state.bytes = lengths.values().sum();
        state.layers.push(Arc::new(layer));
        if gap {
            // Without forced writes a power loss leaves holes. No later group may take the number of
            // one behind the hole.
            tree.write(&state.layers, highest)?;
            state.layers.clear();
            (state.last, state.in_tree) = (highest, highest);
        }
        Ok(Self { limits, tree, log: Mutex::new(log), state: Mutex::new(state) })
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        entered(self.log.lock())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        entered(self.state.lock())
    }

    /// Appends a group and lays its rows over the others.
    fn append(
        &self,
        log: &mut Log,
        acquired: Option<Lease>,
        batch: &WriteBatch,
    ) -> Result<(), StoreError> {
        let number = {
            let state = self.state();
            if state.bytes > self.limits.behind_bytes {
                let why = "the tree is too far behind the log".to_owned();
                return Err(StoreError::Unavailable(why));
            }
            state.last + 1
        };
        let group = Group { number, acquired, batch: Cow::Borrowed(batch) };
        let appended = log.append(&[group], true).map_err(|error| unknown(&error))?;
        if acquired.is_some() {
            // Whatever the design says: two owners under one epoch would be another lesson.
            log.force().map_err(|error| unknown(&error))?;
        }
        let mut state = self.state();
        state.last = number;
        state.bytes += appended.bytes;
        state.lay(acquired, batch);
        if let Some(through) = state.unneeded.take() {
            drop(state);
            if let Err(error) = log.remove_through(through) {
                // It is tried again after the next checkpoint; its groups are in the tree.
                tracing::warn!(%error, through, "cannot remove old segments of the store's log");
            }
        }
        Ok(())
    }
}

impl MessageStore for RedbStore {
    fn acquire(&self, partition: Partition, above: Epoch) -> Result<Lease, StoreError> {
        let mut log = self.log();
        let stored = self.state().epochs.get(&partition).copied().unwrap_or_default();
        let lease = Lease { partition, epoch: stored.max(above).next() };
        self.append(&mut log, Some(lease), &WriteBatch::default())?;
        Ok(lease)
    }

    fn commit(&self, leases: &[Lease], batch: &WriteBatch) -> Result<(), StoreError> {
        let mut log = self.log();
        self.state().check(leases)?;
        if batch.is_empty() {
            return Ok(());
        }
        self.append(&mut log, None, batch)
    }

    fn view(&self) -> Result<Box<dyn StoreView + '_>, StoreError> {
        // Under one lock: a checkpoint takes its layers away only once they are in the tree.
        let state = self.state();
        let tree = self.tree.view()?;
        Ok(Box::new(LayeredView { layers: state.layers.clone(), tree }))
    }

    fn is_checkpoint_due(&self) -> bool {
        let state = self.state();
        let StoreLimits { checkpoint_groups, checkpoint_bytes, .. } = self.limits;
        state.last - state.in_tree >= checkpoint_groups || state.bytes >= checkpoint_bytes
    }

    fn checkpoint(&self) -> Result<(), StoreError> {
        self.release();
        let (segment, layers, through, bytes) = {
            let mut log = self.log();
            let state = self.state();
            (log.rotate(), state.layers.clone(), state.last, state.bytes)
        };
        self.tree.write(&layers, through)?;
        self.state().written = Some(Written { layers, bytes, through, segment });
        Ok(())
    }

    fn release(&self) {
        let mut state = self.state();
        if let Some(Written { layers, bytes, through, segment }) = state.written.take() {
            state.layers.drain(..layers.len());
            state.in_tree = through;
            state.bytes -= bytes;
            state.unneeded = Some(segment);
        }
    }

    fn close(&self) -> Result<(), StoreError> {
        self.checkpoint()?;
        self.release();
        self.tree.close()
    }
}

impl State {
    fn check(&self, leases: &[Lease]) -> Result<(), StoreError> {
        for Lease { partition, epoch } in leases {
            let current = self.epochs.get(partition).copied().unwrap_or_default();
            if current != *epoch {
                return Err(StoreError::Fenced { partition: *partition, current });
            }
        }
        Ok(())
    }

    fn lease(&mut self, layer: &mut Layer, lease: Lease) {
        let epoch = self.epochs.entry(lease.partition).or_default();
        *epoch = lease.epoch.max(*epoch);
        layer.lease(lease);
    }

    /// Adds rows on top: to the last layer, or to a new one if somebody looks at that.
    fn lay(&mut self, acquired: Option<Lease>, batch: &WriteBatch) {
        let mut layer = match self.layers.pop().map(Arc::try_unwrap) {
            Some(Ok(layer)) => layer,
            Some(Err(looked_at)) => {
                self.layers.push(looked_at);
                Layer::default()
            }
            None => Layer::default(),
        };
        if let Some(lease) = acquired {
            self.lease(&mut layer, lease);
        }
        layer.merge(batch);
        self.layers.push(Arc::new(layer));
    }
}

fn unavailable(error: &LogError) -> StoreError {
    let source = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    StoreError::Unavailable(format!("{error}: {source}"))
}

fn unknown(error: &io::Error) -> StoreError {
    StoreError::Unknown(error.to_string())
}
