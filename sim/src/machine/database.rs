//! An engine that several store nodes share, as one of them reaches it: like a database on its own, beside
//! the broker. A node that cannot exchange packets with the broker does not reach it either; a call takes as
//! long as a forced write. A call that has got through is done, whatever becomes of the node.

use crate::faults::links::LinkBoard;
use ports::Disk;
use ports::message_store::{
    Batch, Claim, Fenced, Keys, Lease, MessageStore, Rows, StoreError, StoreView,
};
use protocol::Partition;
use std::sync::Arc;

/// A file of the node's disk that is only forced: so a call takes its time, and is a job that a kill
/// interrupts.
const CALLS: &str = "database.calls";

/// One node's connection.
pub struct Connection {
    /// The engine.
    pub engine: Arc<dyn MessageStore>,
    /// The node.
    pub host: Arc<str>,
    /// Beside whom it stands.
    pub beside: Arc<str>,
    /// The links.
    pub board: LinkBoard,
    /// The node's disk, for the time that a call takes.
    pub disk: Arc<dyn Disk>,
}

impl Connection {
    fn reached(&self) -> Result<&dyn MessageStore, StoreError> {
        if self.board.is_apart(&self.host, &self.beside) {
            return Err(StoreError::Unavailable("the database cannot be reached".to_owned()));
        }
        Ok(&*self.engine)
    }

    fn called(&self) -> Result<&dyn MessageStore, StoreError> {
        let reached = self.reached()?;
        let call = self.disk.open(CALLS).and_then(|calls| calls.sync_data());
        call.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(reached)
    }
}

impl MessageStore for Connection {
    fn acquire(&self, claim: &Claim) -> Result<Option<Lease>, StoreError> {
        self.called()?.acquire(claim)
    }

    fn renew(&self, leases: &[Lease]) -> Result<Vec<Fenced>, StoreError> {
        self.called()?.renew(leases)
    }

    fn commit(&self, batches: &[(Lease, Batch)]) -> Result<Vec<Fenced>, StoreError> {
        self.called()?.commit(batches)
    }

    fn view(&self) -> Result<Box<dyn StoreView + '_>, StoreError> {
        self.reached()?.view()
    }

    fn prefetch(&self, keys: &[(Partition, Keys)]) -> Result<Vec<Rows>, StoreError> {
        self.called()?.prefetch(keys)
    }
}
