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

#[cfg(test)]
mod tests;

use super::backend::Writes;
use super::layer::Layers;
use super::tree::{self, Tree};
use super::view::LayeredView;
use super::{OpenError, Place};
use ports::message_store::{
    Batch, Claim, Fenced, Lease, MessageStore, Ownership, StoreError, StoreView,
};
use ports::{Disk, entered};
use protocol::design::Fsync;
use protocol::limits::StoreLimits;
use protocol::{ConversationId, Epoch, NodeNumber, Partition};
use segments::{ADVICE, Force, Format, Log, LogError, Opened, Options};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

/// The log.
pub(super) const FORMAT: Format = Format { prefix: "store", magic: *b"FRACASS3" };

/// A record of the log.
#[derive(Serialize, Deserialize)]
pub(super) struct Group<'a> {
    number: u64,
    acquired: Option<Lease>,
    batches: Vec<(Partition, Cow<'a, Batch>)>,
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
    /// Shared with the views. Only epochs are durable: whoever owned a partition before the disk was
    /// opened is gone, since a disk belongs to one process.
    owners: Arc<BTreeMap<Partition, Ownership>>,
    layers: Layers,
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

/// What a checkpoint has written to the tree: the layers that it has taken, with so many bytes, up to a
/// group, and the log's segments up to one.
struct Written {
    bytes: u64,
    through: u64,
    segment: u32,
}

impl RedbStore {
    /// Opens what is on the disk, or makes it, whosever it is.
    pub fn open(disk: Arc<dyn Disk>, fsync: Fsync) -> Result<Self, OpenError> {
        Self::opened(disk, fsync, None, StoreLimits::default())
    }

    /// The same for one place: a new disk remembers it, and one of another place is refused.
    pub fn open_at(
        disk: Arc<dyn Disk>,
        fsync: Fsync,
        place: Place,
        limits: StoreLimits,
    ) -> Result<Self, OpenError> {
        Self::opened(disk, fsync, Some(place), limits)
    }

    fn opened(
        disk: Arc<dyn Disk>,
        fsync: Fsync,
        place: Option<Place>,
        limits: StoreLimits,
    ) -> Result<Self, OpenError> {
        let log =
            FORMAT.presence(&*disk).map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let is_ready = tree::is_ready(&*disk, log)?;
        let always = fsync == Fsync::Always;
        let options = Options {
            disk: Arc::clone(&disk),
            format: FORMAT,
            segment_bytes: u64::MAX,
            fsync: always,
        };
        // A look at everything first, since a tree is changed by being opened.
        let mut groups: Vec<Group<'static>> = Vec::new();
        let log = segments::read(options, |group, _| groups.push(group));
        let log = log.map_err(|error| log_error(&error))?;
        let (cache, mut in_tree) = (limits.cache_bytes, 0);
        if is_ready {
            let tree = Tree::open(Arc::clone(&disk), is_ready, place, cache, Writes::ToMemory)?;
            (in_tree, _) = tree.written()?;
        }
        // Segments are removed only behind a later group. So a tree that has fallen back shows as a gap.
        let (last, highest) = reach(in_tree, &groups);
        if always && highest > last {
            let why = format!(
                "groups of the store are missing: the tree has them up to {in_tree}, the log has some up \
                 to {highest}, those up to {last} without a gap; {ADVICE}",
            );
            return Err(StoreError::Corrupt(why).into());
        }
        let tree = Tree::open(disk, is_ready, place, cache, Writes::ToDisk)?;
        let (in_tree, epochs) = tree.written()?;
        let mut state = State::recovered(in_tree, epochs, groups);
        let Opened { log, lengths } = log.open().map_err(|error| log_error(&error))?;
        if !is_ready {
            tree.set_ready()?;
        }
        state.bytes = lengths.values().sum();
        if highest > last {
            // Without forced writes a power loss leaves holes. No later group may take the number of
            // one behind the hole.
            tree.write(&state.layers.take(), highest)?;
            state.layers.remove_taken();
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
        acquired: Option<(Lease, NodeNumber)>,
        batches: &[(Partition, &Batch)],
    ) -> Result<(), StoreError> {
        let number = {
            let state = self.state();
            if state.bytes > self.limits.behind_bytes {
                let why = "the tree is too far behind the log".to_owned();
                return Err(StoreError::Unavailable(why));
            }
            state.last + 1
        };
        let borrowed = batches.iter().map(|(partition, batch)| (*partition, Cow::Borrowed(*batch)));
        let lease = acquired.map(|(lease, _)| lease);
        let group = Group { number, acquired: lease, batches: borrowed.collect() };
        // A lease whatever the design says: two owners under one epoch would be another lesson.
        let force = if acquired.is_some() { Force::Always } else { Force::AsConfigured };
        let appended = log.append(&[group], force).map_err(|error| unknown(&error))?;
        let mut state = self.state();
        state.last = number;
        state.bytes += appended.bytes;
        state.lay(acquired, batches);
        if let Some(through) = state.unneeded.take() {
            drop(state);
            if let Err(error) = log.remove_through(through) {
                // It is tried again after the next checkpoint; its groups are in the tree.
                tracing::warn!(%error, through, "cannot remove old segments of the store's log");
            }
        }
        Ok(())
    }

    /// Whether `checkpoint` should be called soon.
    pub fn is_checkpoint_due(&self) -> bool {
        let state = self.state();
        let StoreLimits { checkpoint_groups, checkpoint_bytes, .. } = self.limits;
        state.last - state.in_tree >= checkpoint_groups || state.bytes >= checkpoint_bytes
    }

    /// Writes to the tree what only the log has, beside commits and views: on a worker of its own, one
    /// call at a time.
    ///
    /// # Errors
    /// The disk failed: try again.
    pub fn checkpoint(&self) -> Result<(), StoreError> {
        self.release();
        let (segment, layers, through, bytes) = {
            let mut log = self.log();
            let mut state = self.state();
            (log.rotate(), state.layers.take(), state.last, state.bytes)
        };
        let written = self.tree.write(&layers, through);
        let mut state = self.state();
        match written {
            Ok(()) => state.written = Some(Written { bytes, through, segment }),
            Err(_) => state.layers.give_back(),
        }
        written
    }

    /// Gives up what the last checkpoint has made superfluous, without touching a disk: once the call of
    /// `checkpoint` is over. Until then nobody may act on what it has written.
    pub fn release(&self) {
        let mut state = self.state();
        if let Some(Written { bytes, through, segment }) = state.written.take() {
            state.layers.remove_taken();
            state.in_tree = through;
            state.bytes -= bytes;
            state.unneeded = Some(segment);
        }
    }

    /// Reads every page of the database.
    pub(super) fn check_pages(&self) -> Result<(), StoreError> {
        self.tree.check_pages()
    }

    /// All conversations with their partitions.
    pub(super) fn conversations(
        &self,
    ) -> Result<BTreeSet<(Partition, ConversationId)>, StoreError> {
        let (layers, tree) = (self.state().layers.share(), self.tree.view()?);
        let mut found = tree.all_conversations()?;
        for (partition, batch) in layers.iter().flat_map(|layer| &layer.batches) {
            found
                .extend(batch.conversations.keys().map(|conversation| (*partition, *conversation)));
        }
        Ok(found)
    }

    /// Makes everything durable and gives the disk back; the last call.
    ///
    /// # Errors
    /// The disk failed. What was committed is in the log all the same.
    pub fn close(&self) -> Result<(), StoreError> {
        self.checkpoint()?;
        self.release();
        self.tree.close()
    }
}

impl MessageStore for RedbStore {
    fn acquire(&self, claim: &Claim) -> Result<Option<Lease>, StoreError> {
        let mut log = self.log();
        let stored = self.state().owner(claim.partition);
        if stored != claim.seen {
            return Ok(None);
        }
        let epoch = stored.epoch.next();
        let lease = Lease { partition: claim.partition, epoch };
        self.append(&mut log, Some((lease, claim.owner)), &[])?;
        Ok(Some(lease))
    }

    fn renew(&self, leases: &[Lease]) -> Result<Vec<Fenced>, StoreError> {
        let mut state = self.state();
        let fenced = state.fenced(leases);
        let owners = Arc::make_mut(&mut state.owners);
        for lease in leases {
            let owner = owners.get_mut(&lease.partition).filter(|is| is.epoch == lease.epoch);
            if let Some(owner) = owner {
                owner.renewals += 1;
            }
        }
        Ok(fenced)
    }

    fn commit(&self, batches: &[(Lease, Batch)]) -> Result<Vec<Fenced>, StoreError> {
        let mut log = self.log();
        let fenced = self.state().fenced(batches.iter().map(|(lease, _)| lease));
        let is_fenced = |partition| fenced.iter().any(|fenced| fenced.partition == partition);
        let written: Vec<_> = batches
            .iter()
            .filter(|(lease, batch)| !batch.is_empty() && !is_fenced(lease.partition))
            .map(|(lease, batch)| (lease.partition, batch))
            .collect();
        if !written.is_empty() {
            self.append(&mut log, None, &written)?;
        }
        Ok(fenced)
    }

    fn view(&self) -> Result<Box<dyn StoreView + '_>, StoreError> {
        // Under one lock: a checkpoint takes its layers away only once they are in the tree.
        let state = self.state();
        let tree = self.tree.view()?;
        let (layers, owners) = (state.layers.share(), Arc::clone(&state.owners));
        Ok(Box::new(LayeredView { layers, tree, owners }))
    }
}

impl State {
    /// The state of a tree with groups of the log behind it.
    fn recovered(
        in_tree: u64,
        epochs: BTreeMap<Partition, Epoch>,
        groups: Vec<Group<'static>>,
    ) -> Self {
        let former = |epoch| Ownership { epoch, ..Ownership::default() };
        let owners = epochs.into_iter().map(|(partition, epoch)| (partition, former(epoch)));
        let mut state = Self {
            owners: Arc::new(owners.collect()),
            layers: Layers::default(),
            last: in_tree,
            in_tree,
            bytes: 0,
            written: None,
            unneeded: None,
        };
        for Group { number, acquired, batches } in groups {
            let is_next = number == state.last + 1;
            if is_next {
                state.last = number;
            }
            if is_next || acquired.is_some() {
                let acquired = acquired.map(|lease| (lease, NodeNumber(0)));
                let batches = if is_next { &batches[..] } else { &[] };
                let rows = batches.iter().map(|(partition, batch)| (*partition, &**batch));
                state.lay(acquired, &rows.collect::<Vec<_>>());
            }
        }
        state
    }

    fn owner(&self, partition: Partition) -> Ownership {
        self.owners.get(&partition).copied().unwrap_or_default()
    }

    fn fenced<'a>(&self, leases: impl IntoIterator<Item = &'a Lease>) -> Vec<Fenced> {
        let fenced = |lease: &Lease| {
            let current = self.owner(lease.partition);
            (current.epoch != lease.epoch).then_some(Fenced { partition: lease.partition, current })
        };
        leases.into_iter().filter_map(fenced).collect()
    }

    /// Adds rows on top.
    fn lay(&mut self, acquired: Option<(Lease, NodeNumber)>, batches: &[(Partition, &Batch)]) {
        if let Some((lease, owner)) = acquired {
            let known = Arc::make_mut(&mut self.owners).entry(lease.partition).or_default();
            *known = Ownership { owner, epoch: lease.epoch.max(known.epoch), renewals: 0 };
        }
        self.layers.lay(|layer| {
            if let Some((lease, _)) = acquired {
                layer.lease(lease);
            }
            for (partition, batch) in batches {
                layer.merge(*partition, batch);
            }
        });
    }
}

/// The number of the last group behind those of the tree, without a gap, and of the last one at all.
fn reach(in_tree: u64, groups: &[Group<'_>]) -> (u64, u64) {
    groups.iter().fold((in_tree, in_tree), |(last, highest), group| {
        let last = if group.number == last + 1 { group.number } else { last };
        (last, highest.max(group.number))
    })
}

fn log_error(error: &LogError) -> StoreError {
    match error {
        LogError::Disk { source, .. } => StoreError::Unavailable(format!("{error}: {source}")),
        LogError::Version { .. } | LogError::Damaged { .. } => {
            StoreError::Corrupt(error.to_string())
        }
    }
}

fn unknown(error: &io::Error) -> StoreError {
    StoreError::Unknown(error.to_string())
}
