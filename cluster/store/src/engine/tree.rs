//! The rows in the order of their keys: one redb database per store node, on the node's disk.
//!
//! redb writes copy-on-write pages and switches to them by one checksummed header after a sync, so a
//! power loss leaves the last committed state. Three things are added here: a marker file, because a
//! half-made database file is indistinguishable from a damaged one; checksums that every read verifies
//! (see `backend`); and reopening, because redb refuses all work after an I/O error.

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
use segments::Presence;
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock, RwLockReadGuard};

/// The database.
const DATA: &str = "store.redb";
/// Exists once the database has been made completely.
const READY: &str = "store.ready";
/// What is in it: the format of the database, and its version.
const VERSION: &[u8; 8] = b"FRACAST2";

/// A redb database on a disk. Dropped without `close`, it leaves the disk as a killed process would.
pub struct Tree {
    disk: Arc<dyn Disk>,
    database: RwLock<Option<Database>>,
    dead: Dead,
    broken: AtomicBool,
    cache_bytes: usize,
}

impl Tree {
    /// Opens the database of a disk with a page cache of this size, or makes it if it is not ready. With a
    /// place: a disk that knows none yet belongs to it from now on, and one of another place is refused.
    pub fn open(
        disk: Arc<dyn Disk>,
        is_ready: bool,
        place: Option<Place>,
        cache_bytes: usize,
    ) -> Result<Self, OpenError> {
        let dead = Dead::default();
        if !is_ready {
            make(&*disk, &dead, place, cache_bytes).map_err(|error| opening(&error))?;
        }
        let database = open(&*disk, &dead, cache_bytes).map_err(|error| opening(&error))?;
        if let Some(asked) = place {
            let made = settle(&database, asked).map_err(|error| opening(&error.into()))?;
            if made != asked {
                return Err(OpenError::OtherPlace { made, asked });
            }
        }
        let database = RwLock::new(Some(database));
        Ok(Self { disk, dead, database, broken: AtomicBool::new(false), cache_bytes })
    }

    /// Says on the disk that the database and the log are made.
    pub fn set_ready(&self) -> Result<(), StoreError> {
        let write = || -> io::Result<()> {
            let marker = self.disk.open(READY)?;
            marker.set_len(0)?;
            marker.write_at(0, VERSION)?;
            marker.sync_data()?;
            self.disk.sync_dir()
        };
        write().map_err(|error| opening(&error.into()))
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

    /// Reads every page that is in use, and compares it with redb's own checksums too.
    pub fn check_pages(&self) -> Result<(), StoreError> {
        let mut slot = entered(self.database.write());
        let database = slot.as_mut().ok_or_else(closed)?;
        match database.check_integrity() {
            Ok(true) => Ok(()),
            Ok(false) => Err(damaged("its pages do not agree with their checksums")),
            Err(redb::DatabaseError::Storage(error)) => Err(self.failed(error)),
            Err(error) => Err(damaged(&error)),
        }
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
                let opened = open(&*self.disk, &self.dead, self.cache_bytes);
                *slot = Some(opened.map_err(|error| opening(&error))?);
                self.broken.store(false, Ordering::Release);
            }
        }
        Ok(entered(self.database.read()))
    }

    /// Turns an error of redb into ours, and remembers that the database must be opened anew.
    pub(super) fn failed(&self, error: impl Into<redb::Error>) -> StoreError {
        match error.into() {
            redb::Error::Corrupted(what) => damaged(&what),
            redb::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => damaged(&error),
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
    let Layer { batches, memberships, leases, groups: _ } = layer;
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

/// Whether everything on a disk was made: the database, and the log in front of it. Otherwise nothing
/// was ever written to it.
pub fn is_ready(disk: &dyn Disk, log: Presence) -> Result<bool, StoreError> {
    let read = || -> io::Result<_> {
        let names = disk.list()?;
        let has = |file: &str| names.iter().any(|name| name == file);
        if !has(READY) {
            return Ok((false, has(DATA)));
        }
        let marker = disk.open(READY)?;
        let mut bytes = vec![0; (marker.len()? as usize).min(VERSION.len())];
        marker.read_at(0, &mut bytes)?;
        Ok((bytes == VERSION, has(DATA)))
    };
    let missing = |what: &str| Err(StoreError::Corrupt(what.to_owned()));
    match (read().map_err(|error| opening(&error.into()))?, log) {
        ((true, true), Presence::Unused | Presence::Used) => Ok(true),
        ((true, false), _) => missing("store.redb is missing"),
        ((true, true), Presence::Absent) => missing("the store's log is missing"),
        ((false, _), Presence::Used) => missing(
            "store.ready is missing, damaged or of another version, and the store's log is in use",
        ),
        ((false, _), Presence::Absent | Presence::Unused) => Ok(false),
    }
}

fn make(
    disk: &dyn Disk,
    dead: &Dead,
    place: Option<Place>,
    cache_bytes: usize,
) -> Result<(), Opening> {
    if disk.list()?.iter().any(|name| name == DATA) {
        disk.remove(DATA)?;
    }
    let (backend, _) = DiskBackend::open(disk.open(DATA)?, Arc::clone(dead))?;
    let database = Database::builder().set_cache_size(cache_bytes).create_with_backend(backend)?;
    make_tables(&database, place)?;
    database.close()?;
    Ok(disk.sync_dir()?)
}

/// Opens a database that was made.
fn open(disk: &dyn Disk, dead: &Dead, cache_bytes: usize) -> Result<Database, Opening> {
    let file = disk.open(DATA)?;
    if file.is_empty()? {
        return Err(Opening::Damaged(format!("{DATA} is empty")));
    }
    let (backend, is_doubtful) = DiskBackend::open(file, Arc::clone(dead))?;
    let builder = Database::builder().set_cache_size(cache_bytes).create_with_backend(backend);
    let mut database = builder?;
    if is_doubtful {
        // The other copy of the header may be older than the pages: redb's own checksums tell.
        database.check_integrity()?;
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
    #[error("{0}")]
    Damaged(String),
    #[error(transparent)]
    Storage(#[from] redb::StorageError),
    #[error(transparent)]
    Database(#[from] redb::DatabaseError),
    #[error(transparent)]
    Tables(#[from] redb::Error),
}

fn opening(error: &Opening) -> StoreError {
    let storage = match error {
        Opening::Damaged(what) => return damaged(what),
        Opening::Disk(error) if error.kind() == io::ErrorKind::InvalidData => {
            return damaged(error);
        }
        Opening::Database(redb::DatabaseError::Storage(error)) | Opening::Storage(error) => error,
        Opening::Disk(_) | Opening::Database(_) | Opening::Tables(_) => {
            return StoreError::Unavailable(error.to_string());
        }
    };
    match storage {
        redb::StorageError::Corrupted(what) => damaged(what),
        redb::StorageError::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
            damaged(error)
        }
        other => StoreError::Unavailable(other.to_string()),
    }
}

fn damaged(what: &(impl std::fmt::Display + ?Sized)) -> StoreError {
    StoreError::Corrupt(format!("{DATA}: {what}"))
}

fn closed() -> StoreError {
    StoreError::Unavailable("the engine is closed".to_owned())
}
