//! The rows in the order of their keys: one redb database per store node, on the node's disk.
//!
//! redb writes copy-on-write pages and switches to them by one checksummed header after a sync, so a
//! power loss leaves the last committed state. Three things are added here: a marker file, because a
//! half-made database file is indistinguishable from a damaged one; checksums that every read verifies
//! (see `backend`); and reopening, because redb refuses all work after an I/O error.

use super::OpenError;
use super::backend::{Condition, DiskBackend, Writes};
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
use segments::{ADVICE, Presence};
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
    condition: Arc<Condition>,
    broken: AtomicBool,
    cache_bytes: usize,
}

impl Tree {
    /// Opens the database of a disk with a page cache of this size, or makes it if it is not ready. With a
    /// place: a disk that knows none yet belongs to it from now on, and one of another place is refused.
    ///
    /// redb brings its file in order while it is opened, before it can find more: only a look with
    /// `Writes::ToMemory` shows whether it may.
    pub fn open(
        disk: Arc<dyn Disk>,
        is_ready: bool,
        place: Option<Place>,
        cache_bytes: usize,
        writes: Writes,
    ) -> Result<Self, OpenError> {
        let condition = Arc::<Condition>::default();
        let open = || -> Result<_, redb::Error> {
            if !is_ready {
                make(&*disk, &condition, place, cache_bytes)?;
            }
            let database = open(&*disk, &condition, cache_bytes, writes)?;
            let made = place.map(|asked| settle(&database, asked)).transpose()?;
            Ok((database, made))
        };
        let (database, made) = open().map_err(|error| told(&condition, &error))?;
        if let (Some(made), Some(asked)) = (made, place)
            && made != asked
        {
            return Err(OpenError::OtherPlace { made, asked });
        }
        let database = RwLock::new(Some(database));
        Ok(Self { disk, condition, database, broken: AtomicBool::new(false), cache_bytes })
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
        write().map_err(|error| told(&self.condition, &error.into()))
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

    /// The database, opened anew if the last I/O failed. Damage does not pass.
    pub(super) fn database(&self) -> Result<RwLockReadGuard<'_, Option<Database>>, StoreError> {
        if let Some(what) = self.condition.damage.get() {
            return Err(damaged(what));
        }
        if self.broken.load(Ordering::Acquire) {
            // Waits for the views that are in use, so that never two databases share the file.
            let mut slot = entered(self.database.write());
            if self.broken.load(Ordering::Acquire) {
                drop(slot.take());
                let opened = open(&*self.disk, &self.condition, self.cache_bytes, Writes::ToDisk);
                *slot = Some(opened.map_err(|error| told(&self.condition, &error))?);
                self.broken.store(false, Ordering::Release);
            }
        }
        Ok(entered(self.database.read()))
    }

    /// Turns an error of redb into ours, and remembers that the database must be opened anew.
    pub(super) fn failed(&self, error: impl Into<redb::Error>) -> StoreError {
        let error = told(&self.condition, &error.into());
        if !matches!(error, StoreError::Corrupt(_)) {
            self.broken.store(true, Ordering::Release);
        }
        error
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        // After `close` there is no database left that could write.
        self.condition.dead.store(true, Ordering::Release);
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
    let missing = |what: &str| Err(StoreError::Corrupt(format!("{what}; {ADVICE}")));
    match (read().map_err(|error| StoreError::Unavailable(error.to_string()))?, log) {
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
    condition: &Arc<Condition>,
    place: Option<Place>,
    cache_bytes: usize,
) -> Result<(), redb::Error> {
    if disk.list()?.iter().any(|name| name == DATA) {
        disk.remove(DATA)?;
    }
    let file = disk.open(DATA)?;
    let (backend, _) = DiskBackend::open(file, Arc::clone(condition), Writes::ToDisk)?;
    let database = Database::builder().set_cache_size(cache_bytes).create_with_backend(backend)?;
    make_tables(&database, place)?;
    database.close()?;
    Ok(disk.sync_dir()?)
}

/// Opens a database that was made.
fn open(
    disk: &dyn Disk,
    condition: &Arc<Condition>,
    cache_bytes: usize,
    writes: Writes,
) -> Result<Database, redb::Error> {
    let file = disk.open(DATA)?;
    if file.is_empty()? {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is empty").into());
    }
    let (backend, is_doubtful) = DiskBackend::open(file, Arc::clone(condition), writes)?;
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

/// What an error means to whoever waits: whether it may pass. What redb says once of damage it calls an
/// earlier error from then on, and what it finds in a file of another version never passes either.
fn told(condition: &Condition, error: &redb::Error) -> StoreError {
    let passes = match error {
        redb::Error::Io(error) => error.kind() != io::ErrorKind::InvalidData,
        redb::Error::PreviousIo | redb::Error::DatabaseClosed => true,
        _ => false,
    };
    match condition.damage.get() {
        Some(what) => damaged(what),
        None if passes => StoreError::Unavailable(error.to_string()),
        None => damaged(error),
    }
}

fn damaged(what: &(impl std::fmt::Display + ?Sized)) -> StoreError {
    StoreError::Corrupt(format!("{DATA}: {what}; {ADVICE}"))
}

fn closed() -> StoreError {
    StoreError::Unavailable("the engine is closed".to_owned())
}
