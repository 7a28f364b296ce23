//! The rows in the order of their keys: one redb database per store node, on the node's disk.
//!
//! redb writes copy-on-write pages and switches to them by one checksummed header after a sync, so a
//! power loss leaves the last committed state. Two things are added here: a marker file, because a
//! half-made database file is indistinguishable from a damaged one; and reopening, because redb
//! refuses all work after an I/O error.

use super::OpenError;
use super::backend::{Dead, DiskBackend};
use super::layer::Layer;
use super::tables::Place;
use super::tables::{
    self, CONVERSATIONS, CURSORS, DECISIONS, DELETIONS, ENTRIES, GROUPS, LEASES, MEMBERS,
    MEMBERSHIPS, PLACE,
};
use super::tree_view::TreeView;
use ports::message_store::{Batch, StoreError};
use ports::{Disk, entered};
use protocol::{Epoch, Partition};
use redb::{Database, ReadableDatabase, ReadableTable, WriteTransaction};
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock, RwLockReadGuard};

/// The database.
const DATA: &str = "store.redb";
/// Exists once the database has been made completely.
const READY: &str = "store.ready";

/// A redb database on a disk. Dropped without `close`, it leaves the disk as a killed process would.
pub struct Tree {
    disk: Arc<dyn Disk>,
    database: RwLock<Option<Database>>,
    dead: Dead,
    broken: AtomicBool,
    cache_bytes: usize,
}

impl Tree {
    /// Opens the database of a disk with a page cache of this size, or makes it. With a place: a disk that
    /// knows none yet belongs to it from now on, and one of another place is refused.
    pub fn open(
        disk: Arc<dyn Disk>,
        place: Option<Place>,
        cache_bytes: usize,
    ) -> Result<Self, OpenError> {
        let dead = Dead::default();
        let database = open(&*disk, &dead, place, cache_bytes).map_err(|error| opening(&error))?;
        if let Some(asked) = place {
            let made = settle(&database, asked).map_err(|error| opening(&error.into()))?;
            if made != asked {
                return Err(OpenError::OtherPlace { made, asked });
            }
        }
        let database = RwLock::new(Some(database));
        Ok(Self { disk, dead, database, broken: AtomicBool::new(false), cache_bytes })
    }

    /// The last group of the log whose rows are here, and the epochs of all partitions.
    pub fn written(&self) -> Result<(u64, BTreeMap<Partition, Epoch>), StoreError> {
        let guard = self.database()?;
        let database = guard.as_ref().ok_or_else(closed)?;
        let read = || -> Result<_, redb::Error> {
            let transaction = database.begin_read()?;
            let through = transaction.open_table(GROUPS)?.get(())?.map_or(0, |row| row.value());
            let mut epochs = BTreeMap::new();
            for row in transaction.open_table(LEASES)?.iter()? {
                let (partition, epoch) = row?;
                epochs.insert(Partition(partition.value()), Epoch(epoch.value()));
            }
            Ok((through, epochs))
        };
        read().map_err(|error| self.failed(error))
    }

    /// Writes the rows of all groups of the log up to `through`, oldest layer first; durable on `Ok`.
    pub fn write(&self, layers: &[Arc<Layer>], through: u64) -> Result<(), StoreError> {
        let guard = self.database()?;
        let database = guard.as_ref().ok_or_else(closed)?;
        let write = || -> Result<(), redb::Error> {
            let mut transaction = database.begin_write()?;
            // The next opening after a crash then need not walk through all pages.
            transaction.set_quick_repair(true);
            for layer in layers {
                write_layer(&transaction, layer)?;
            }
            transaction.open_table(GROUPS)?.insert((), through)?;
            transaction.commit()?;
            Ok(())
        };
        write().map_err(|error| self.failed(error))
    }

    /// What is here, as of now.
    pub fn view(&self) -> Result<TreeView<'_>, StoreError> {
        let guard = self.database()?;
        let database = guard.as_ref().ok_or_else(closed)?;
        let transaction = database.begin_read().map_err(|error| self.failed(error))?;
        TreeView::open(self, guard, &transaction).map_err(|error| self.failed(error))
    }

    /// Gives redb's resources back; the last call.
    pub fn close(&self) -> Result<(), StoreError> {
        let database = entered(self.database.write()).take();
        match database.map(Database::close) {
            Some(Err(error)) => Err(self.failed(error)),
            Some(Ok(())) | None => Ok(()),
        }
    }

    /// The database, opened anew if the last I/O failed.
    pub(super) fn database(&self) -> Result<RwLockReadGuard<'_, Option<Database>>, StoreError> {
        if self.broken.load(Ordering::Acquire) {
            // Waits for the views that are in use, so that never two databases share the file.
            let mut slot = entered(self.database.write());
            if self.broken.load(Ordering::Acquire) {
                drop(slot.take());
                let opened = open(&*self.disk, &self.dead, None, self.cache_bytes);
                *slot = Some(opened.map_err(|error| opening(&error))?);
                self.broken.store(false, Ordering::Release);
            }
        }
        Ok(entered(self.database.read()))
    }

    /// Turns an error of redb into ours, and remembers that the database must be opened anew.
    pub(super) fn failed(&self, error: impl Into<redb::Error>) -> StoreError {
        match error.into() {
            redb::Error::Corrupted(what) => StoreError::Corrupt(what),
            error => {
                self.broken.store(true, Ordering::Release);
                StoreError::Unavailable(error.to_string())
            }
        }
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        // After `close` there is no database left that could write.
        self.dead.store(true, Ordering::Release);
    }
}

fn write_layer(transaction: &WriteTransaction, layer: &Layer) -> Result<(), redb::Error> {
    let Layer { batches, memberships, leases } = layer;
    let mut table = transaction.open_table(LEASES)?;
    for (partition, epoch) in leases {
        table.insert(partition.0, epoch.0)?;
    }
    for (partition, batch) in batches {
        write_batch(transaction, *partition, batch)?;
    }
    let mut table = transaction.open_table(MEMBERSHIPS)?;
    for ((user, conversation), joined) in memberships {
        match joined {
            Some(joined) => table.insert((user.0, conversation.0), joined.0)?,
            None => table.remove((user.0, conversation.0))?,
        };
    }
    Ok(())
}

fn write_batch(
    transaction: &WriteTransaction,
    partition: Partition,
    batch: &Batch,
) -> Result<(), redb::Error> {
    let mut table = transaction.open_table(CONVERSATIONS)?;
    for (conversation, row) in &batch.conversations {
        table.insert((partition.0, conversation.0), tables::conversation_value(row))?;
    }
    let mut table = transaction.open_table(ENTRIES)?;
    for (conversation, first) in &batch.trims {
        table.retain_in((conversation.0, 0)..(conversation.0, first.0), |_, _| false)?;
    }
    for ((conversation, sequence), entry) in &batch.entries {
        let bytes = postcard::to_stdvec(&**entry).expect("entries have known lengths");
        table.insert((conversation.0, sequence.0), bytes.as_slice())?;
    }
    let mut table = transaction.open_table(DELETIONS)?;
    for (conversation, first) in &batch.trims {
        table.retain_in((conversation.0, 0)..(conversation.0, first.0), |_, ()| false)?;
    }
    for (conversation, sequence) in &batch.deletions {
        table.insert((conversation.0, sequence.0), ())?;
    }
    let mut table = transaction.open_table(DECISIONS)?;
    for ((author, message), row) in &batch.decisions {
        table.insert((partition.0, author.0, message.0), tables::decision_value(row))?;
    }
    let mut table = transaction.open_table(MEMBERS)?;
    for ((conversation, user, joined), left) in &batch.members {
        let left = left.map_or(0, |left| left.0);
        table.insert((conversation.0, user.0, joined.0), left)?;
    }
    let mut table = transaction.open_table(CURSORS)?;
    for ((conversation, user), cursors) in &batch.cursors {
        table.insert((conversation.0, user.0), (cursors.delivered.0, cursors.read.0))?;
    }
    Ok(())
}

fn open(
    disk: &dyn Disk,
    dead: &Dead,
    place: Option<Place>,
    cache_bytes: usize,
) -> Result<Database, Opening> {
    let files = disk.list()?;
    let ready = files.iter().any(|name| name == READY);
    if !ready && files.iter().any(|name| name == DATA) {
        disk.remove(DATA)?;
    }
    let backend = DiskBackend { file: disk.open(DATA)?, dead: Arc::clone(dead) };
    let database = Database::builder().set_cache_size(cache_bytes).create_with_backend(backend)?;
    if !ready {
        make_tables(&database, place)?;
        disk.sync_dir()?;
        disk.open(READY)?.sync_data()?;
        disk.sync_dir()?;
    }
    Ok(database)
}

/// The place of a database: the stored one, or for a database without one this one from now on.
fn settle(database: &Database, asked: Place) -> Result<Place, redb::Error> {
    let stored = match database.begin_read()?.open_table(PLACE) {
        Ok(table) => table.get(())?.map(|row| tables::place_row(row.value())),
        // Made before places were stored.
        Err(redb::TableError::TableDoesNotExist(_)) => None,
        Err(error) => return Err(error.into()),
    };
    if let Some(made) = stored {
        return Ok(made);
    }
    let transaction = database.begin_write()?;
    transaction.open_table(PLACE)?.insert((), tables::place_value(asked))?;
    transaction.commit()?;
    Ok(asked)
}

fn make_tables(database: &Database, place: Option<Place>) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    // In the same transaction: a disk is never complete without its place.
    if let Some(place) = place {
        transaction.open_table(PLACE)?.insert((), tables::place_value(place))?;
    }
    transaction.open_table(GROUPS)?;
    transaction.open_table(LEASES)?;
    transaction.open_table(CONVERSATIONS)?;
    transaction.open_table(ENTRIES)?;
    transaction.open_table(DELETIONS)?;
    transaction.open_table(DECISIONS)?;
    transaction.open_table(MEMBERS)?;
    transaction.open_table(MEMBERSHIPS)?;
    transaction.open_table(CURSORS)?;
    transaction.commit()?;
    Ok(())
}

#[derive(Debug, thiserror::Error)]
enum Opening {
    #[error(transparent)]
    Disk(#[from] io::Error),
    #[error(transparent)]
    Database(#[from] redb::DatabaseError),
    #[error(transparent)]
    Tables(#[from] redb::Error),
}

fn opening(error: &Opening) -> StoreError {
    match error {
        Opening::Database(redb::DatabaseError::Storage(redb::StorageError::Corrupted(what))) => {
            StoreError::Corrupt(what.clone())
        }
        Opening::Database(redb::DatabaseError::Storage(redb::StorageError::Io(error)))
            if error.kind() == io::ErrorKind::InvalidData =>
        {
            StoreError::Corrupt(error.to_string())
        }
        other => StoreError::Unavailable(other.to_string()),
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable("the engine is closed".to_owned())
}
