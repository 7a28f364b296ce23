//! The embedded engine: one redb database per store node, on the node's disk.
//!
//! redb writes copy-on-write pages and switches to them by one checksummed header after a sync, so a
//! power loss leaves the last committed state. Two things are added here: a marker file, because a
//! half-made database file is indistinguishable from a damaged one; and reopening, because redb
//! refuses all work after an I/O error.

use super::backend::{Dead, DiskBackend};
use super::redb_view::RedbView;
use super::tables::{
    self, CONVERSATIONS, CURSORS, DECISIONS, DELETIONS, ENTRIES, LEASES, MEMBERS, MEMBERSHIPS,
};
use ports::Disk;
use ports::message_store::{Lease, MessageStore, StoreError, StoreView, WriteBatch};
use protocol::design::Fsync;
use protocol::{Epoch, Partition};
use redb::{Database, Durability, ReadableDatabase, ReadableTable, WriteTransaction};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

/// The database.
const DATA: &str = "store.redb";
/// Exists once the database has been made completely.
const READY: &str = "store.ready";
/// redb's page cache. Modest: a simulation runs several store nodes in one process, and what the
/// owners need most (heads, members) they cache themselves.
const CACHE_BYTES: usize = 32 * 1024 * 1024;
/// With `fsync = never` every so many commits are forced all the same, as an operating system writes
/// back on its own after a while: redb frees the pages of unforced commits only then, and the file
/// would grow without end.
const UNFORCED_COMMITS: u32 = 64;

/// A redb database on a disk. Dropped without `close`, it leaves the disk as a killed process would.
pub struct RedbStore {
    disk: Arc<dyn Disk>,
    fsync: Fsync,
    database: RwLock<Option<Database>>,
    dead: Dead,
    broken: AtomicBool,
    unforced: AtomicU32,
}

impl RedbStore {
    /// Opens the database of a disk, or makes it.
    pub fn open(disk: Arc<dyn Disk>, fsync: Fsync) -> Result<Self, StoreError> {
        let dead = Dead::default();
        let database = open(&*disk, &dead).map_err(|error| opening(&error))?;
        Ok(Self {
            disk,
            fsync,
            dead,
            database: RwLock::new(Some(database)),
            broken: AtomicBool::new(false),
            unforced: AtomicU32::new(0),
        })
    }

    /// The database, opened anew if the last I/O failed.
    pub(super) fn database(&self) -> Result<RwLockReadGuard<'_, Option<Database>>, StoreError> {
        if self.broken.load(Ordering::Acquire) {
            // Waits for the views that are in use, so that never two databases share the file.
            let mut slot = self.database.write().unwrap_or_else(PoisonError::into_inner);
            if self.broken.load(Ordering::Acquire) {
                drop(slot.take());
                *slot = Some(open(&*self.disk, &self.dead).map_err(|error| opening(&error))?);
                self.broken.store(false, Ordering::Release);
            }
        }
        Ok(self.database.read().unwrap_or_else(PoisonError::into_inner))
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

    fn write<T>(
        &self,
        forced: bool,
        rows: impl FnOnce(&WriteTransaction) -> Result<T, Abort>,
    ) -> Result<T, StoreError> {
        let guard = self.database()?;
        let database = guard.as_ref().ok_or_else(closed)?;
        let mut transaction = database.begin_write().map_err(|error| self.failed(error))?;
        if !forced {
            let durability = Durability::None;
            transaction.set_durability(durability).map_err(|error| self.failed(error))?;
        }
        let written = rows(&transaction);
        match written {
            Ok(value) => match transaction.commit() {
                Ok(()) => Ok(value),
                Err(error) => Err(match self.failed(error) {
                    StoreError::Unavailable(why) => StoreError::Unknown(why),
                    other => other,
                }),
            },
            Err(abort) => {
                // Dropping a transaction aborts it; what matters is why.
                drop(transaction);
                Err(match abort {
                    Abort::Store(error) => error,
                    Abort::Redb(error) => self.failed(*error),
                })
            }
        }
    }

    fn forced(&self) -> bool {
        match self.fsync {
            Fsync::Always => true,
            Fsync::Never => {
                self.unforced.fetch_add(1, Ordering::Relaxed) % UNFORCED_COMMITS
                    == UNFORCED_COMMITS - 1
            }
        }
    }
}

impl MessageStore for RedbStore {
    fn acquire(&self, partition: Partition, above: Epoch) -> Result<Lease, StoreError> {
        // Forced whatever the design says: two owners under one epoch would be another lesson.
        self.write(true, |transaction| {
            let mut leases = transaction.open_table(LEASES)?;
            let stored = leases.get(partition.0)?.map_or(0, |epoch| epoch.value());
            let epoch = Epoch(stored).max(above).next();
            leases.insert(partition.0, epoch.0)?;
            Ok(Lease { partition, epoch })
        })
    }

    fn commit(&self, leases: &[Lease], batch: &WriteBatch) -> Result<(), StoreError> {
        self.write(self.forced(), |transaction| {
            check(transaction, leases)?;
            write_rows(transaction, batch)
        })
    }

    fn view(&self) -> Result<Box<dyn StoreView + '_>, StoreError> {
        let guard = self.database()?;
        let database = guard.as_ref().ok_or_else(closed)?;
        let transaction = database.begin_read().map_err(|error| self.failed(error))?;
        RedbView::open(self, guard, &transaction)
            .map(|view| Box::new(view) as Box<dyn StoreView>)
            .map_err(|error| self.failed(error))
    }

    fn close(&self) -> Result<(), StoreError> {
        if !self.broken.load(Ordering::Acquire) {
            self.write(true, |_| Ok(()))?;
        }
        let database = self.database.write().unwrap_or_else(PoisonError::into_inner).take();
        match database.map(Database::close) {
            Some(Err(error)) => Err(self.failed(error)),
            Some(Ok(())) | None => Ok(()),
        }
    }
}

impl Drop for RedbStore {
    fn drop(&mut self) {
        // After `close` there is no database left that could write.
        self.dead.store(true, Ordering::Release);
    }
}

/// Why a transaction is not committed.
enum Abort {
    Store(StoreError),
    Redb(Box<redb::Error>),
}

impl<E: Into<redb::Error>> From<E> for Abort {
    fn from(error: E) -> Self {
        Self::Redb(Box::new(error.into()))
    }
}

fn check(transaction: &WriteTransaction, leases: &[Lease]) -> Result<(), Abort> {
    let stored = transaction.open_table(LEASES)?;
    for Lease { partition, epoch } in leases {
        let current = Epoch(stored.get(partition.0)?.map_or(0, |epoch| epoch.value()));
        if current != *epoch {
            return Err(Abort::Store(StoreError::Fenced { partition: *partition, current }));
        }
    }
    Ok(())
}

fn write_rows(transaction: &WriteTransaction, batch: &WriteBatch) -> Result<(), Abort> {
    if !batch.conversations.is_empty() {
        let mut table = transaction.open_table(CONVERSATIONS)?;
        for ((partition, conversation), row) in &batch.conversations {
            table.insert((partition.0, conversation.0), tables::conversation_value(row))?;
        }
    }
    if !batch.entries.is_empty() || !batch.trims.is_empty() {
        let mut table = transaction.open_table(ENTRIES)?;
        for ((conversation, sequence), entry) in &batch.entries {
            let bytes = postcard::to_stdvec(&**entry).expect("entries have known lengths");
            table.insert((conversation.0, sequence.0), bytes.as_slice())?;
        }
        // After the inserts: a batch may bring entries that it trims itself.
        for (conversation, first) in &batch.trims {
            table.retain_in((conversation.0, 0)..(conversation.0, first.0), |_, _| false)?;
        }
    }
    if !batch.deletions.is_empty() || !batch.trims.is_empty() {
        let mut table = transaction.open_table(DELETIONS)?;
        for (conversation, sequence) in &batch.deletions {
            table.insert((conversation.0, sequence.0), ())?;
        }
        for (conversation, first) in &batch.trims {
            table.retain_in((conversation.0, 0)..(conversation.0, first.0), |_, ()| false)?;
        }
    }
    if !batch.decisions.is_empty() {
        let mut table = transaction.open_table(DECISIONS)?;
        for ((partition, author, message), row) in &batch.decisions {
            table.insert((partition.0, author.0, message.0), tables::decision_value(row))?;
        }
    }
    if !batch.members.is_empty() {
        let mut members = transaction.open_table(MEMBERS)?;
        let mut memberships = transaction.open_table(MEMBERSHIPS)?;
        // In the order of joining per user: the newest interval decides whether one is a member.
        for ((conversation, user, joined), left) in &batch.members {
            members.insert((conversation.0, user.0, joined.0), left.map_or(0, |left| left.0))?;
            match left {
                None => memberships.insert((user.0, conversation.0), joined.0)?,
                Some(_) => memberships.remove((user.0, conversation.0))?,
            };
        }
    }
    if !batch.cursors.is_empty() {
        let mut table = transaction.open_table(CURSORS)?;
        for ((conversation, user), cursors) in &batch.cursors {
            table.insert((conversation.0, user.0), (cursors.delivered.0, cursors.read.0))?;
        }
    }
    Ok(())
}

fn open(disk: &dyn Disk, dead: &Dead) -> Result<Database, Opening> {
    let files = disk.list()?;
    let ready = files.iter().any(|name| name == READY);
    if !ready && files.iter().any(|name| name == DATA) {
        disk.remove(DATA)?;
    }
    let backend = DiskBackend { file: disk.open(DATA)?, dead: Arc::clone(dead) };
    let database = Database::builder().set_cache_size(CACHE_BYTES).create_with_backend(backend)?;
    if !ready {
        make_tables(&database)?;
        disk.sync_dir()?;
        disk.open(READY)?.sync_data()?;
        disk.sync_dir()?;
    }
    Ok(database)
}

fn make_tables(database: &Database) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
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
