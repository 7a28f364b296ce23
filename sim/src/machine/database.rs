//! An engine that several store nodes share, as one of them reaches it: like a database on a host of its own,
//! beside the broker. A node that cannot exchange packets with the broker does not reach it either; a call,
//! also one that fetches rows for a round, takes as long as a forced write, and each question of a view a round trip
//! over the network. A call that has got through is done, whatever becomes of the node.
//!
//! The database's process can die and stand still. What it has done stays; what it is asked meanwhile ends without
//! an answer. A database that is killed may have done what it was just asked, so each node's first call after a
//! death is done and not answered. (The rows outlive a loss of power as well: it keeps what it has done.)

mod view;

use crate::faults::links::LinkBoard;
use crate::machine::gate::Gate;
use crate::machine::tasks::RoundTrips;
use ports::Disk;
use ports::message_store::{
    Batch, Claim, Fenced, Keys, Lease, MessageStore, Rows, StoreError, StoreView,
};
use protocol::Partition;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use view::RemoteView;

/// A file of the node's disk that is only forced: so a call takes its time, and is a job that a kill
/// interrupts.
const CALLS: &str = "database.calls";

/// Jobs of a node that read at a time, as over PostgreSQL.
const READERS: usize = 4;

/// The database: rows that stay, and a process that may not.
pub struct Database {
    /// What it has done.
    pub rows: Arc<dyn MessageStore>,
    /// The gate of its host.
    pub gate: Gate,
    runs: AtomicBool,
    deaths: AtomicU32,
}

/// Its process, which is dead when this is dropped.
pub struct Serving(Arc<Database>);

impl Database {
    /// One that is not started yet.
    pub fn new(rows: Arc<dyn MessageStore>, gate: Gate) -> Self {
        Self { rows, gate, runs: AtomicBool::new(false), deaths: AtomicU32::new(0) }
    }

    /// Its process starts.
    pub fn serve(self: Arc<Self>) -> Serving {
        self.runs.store(true, Ordering::Relaxed);
        Serving(self)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.runs.store(false, Ordering::Relaxed);
        self.0.deaths.fetch_add(1, Ordering::Relaxed);
    }
}

/// One node's connection.
pub struct Connection {
    database: Arc<Database>,
    host: Arc<str>,
    beside: Arc<str>,
    board: LinkBoard,
    disk: Arc<dyn Disk>,
    round_trips: RoundTrips,
    /// Deaths that its calls have met.
    met: AtomicU32,
}

impl Connection {
    /// The connection of a node, over the links between its host and `beside`; a call takes the time of
    /// its disk, and a question a round trip.
    pub fn new(
        database: Arc<Database>,
        [host, beside]: [Arc<str>; 2],
        board: LinkBoard,
        (disk, round_trips): (Arc<dyn Disk>, RoundTrips),
    ) -> Self {
        let met = AtomicU32::new(database.deaths.load(Ordering::Relaxed));
        Self { database, host, beside, board, disk, round_trips, met }
    }

    fn reached(&self) -> Result<(), StoreError> {
        let what = if self.board.is_apart(&self.host, &self.beside) {
            "the database cannot be reached"
        } else if !self.database.gate.answers() {
            "the database does not answer"
        } else {
            return Ok(());
        };
        Err(StoreError::Unavailable(what.to_owned()))
    }

    fn running(&self) -> Result<&dyn MessageStore, StoreError> {
        let runs = self.database.runs.load(Ordering::Relaxed);
        let down = || StoreError::Unavailable("the database is down".to_owned());
        runs.then_some(&*self.database.rows).ok_or_else(down)
    }

    /// Something is read: it takes a round trip.
    fn question(&self) -> Result<(), StoreError> {
        self.reached()?;
        self.round_trips.make();
        self.running().map(|_| ())
    }

    fn call<T>(
        &self,
        call: impl FnOnce(&dyn MessageStore) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.reached()?;
        let forced = self.disk.open(CALLS).and_then(|calls| calls.sync_data());
        forced.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let deaths = self.database.deaths.load(Ordering::Relaxed);
        let first = self.met.swap(deaths, Ordering::Relaxed) != deaths;
        match self.running() {
            Err(down) if first => {
                // It was under way when the process died: done, and nobody learns of it.
                call(&*self.database.rows)?;
                Err(down)
            }
            running => call(running?),
        }
    }
}

impl MessageStore for Connection {
    fn acquire(&self, claim: &Claim) -> Result<Option<Lease>, StoreError> {
        self.call(|rows| rows.acquire(claim))
    }

    fn renew(&self, leases: &[Lease]) -> Result<Vec<Fenced>, StoreError> {
        self.call(|rows| rows.renew(leases))
    }

    fn commit(&self, batches: &[(Lease, Batch)]) -> Result<Vec<Fenced>, StoreError> {
        self.call(|rows| rows.commit(batches))
    }

    fn view(&self) -> Result<Box<dyn StoreView + '_>, StoreError> {
        self.question()?;
        let view = self.running()?.view()?;
        Ok(Box::new(RemoteView { connection: self, view }))
    }

    fn readers(&self) -> usize {
        READERS
    }

    fn prefetch(&self, keys: &[(Partition, Keys)]) -> Result<Vec<Rows>, StoreError> {
        self.call(|rows| rows.prefetch(keys))
    }
}
