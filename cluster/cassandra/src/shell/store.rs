//! The adapter of the port.
//!
//! The port's calls block, on the threads of workers; the connections need somebody who reads from them all
//! the time. So the adapter has a small runtime of its own, which the node's end does not end before the calls.
//! Never make a call on an async thread: waiting there panics, by tokio's own check.

use super::tracks::Shared;
use super::view::CassandraView;
use super::{claims, commits, prefetch, removal};
use crate::config::CassandraConfig;
use ports::message_store::{
    Batch, Claim, Fenced, Keys, Lease, MessageStore, Rows, StoreError, StoreView,
};
use protocol::Partition;
use std::io;
use std::sync::Arc;
use tokio::runtime::{Builder, Handle, Runtime};

/// Threads that drive the connections of a node.
const THREADS: usize = 2;

/// Jobs of a node that read at a time: many calls share a connection.
const READERS: usize = 4;

/// A node's way to Cassandra. Dropping it closes its connections.
pub struct CassandraStore {
    shared: Arc<Shared>,
    handle: Handle,
    /// Until it is dropped.
    runtime: Option<Runtime>,
}

impl CassandraStore {
    /// Connects when it is needed. The first node makes the tables, if there are none. `instance` is a random
    /// number: by it the writes of this process are told from those of others.
    ///
    /// # Errors
    /// The threads cannot be started.
    pub fn start(config: CassandraConfig, instance: u64) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("cassandra")
            .enable_all()
            .build()?;
        let (shared, handle) = (Arc::new(Shared::new(config, instance)), runtime.handle().clone());
        handle.spawn(removal::keep_small(Arc::downgrade(&shared)));
        Ok(Self { shared, handle, runtime: Some(runtime) })
    }

    /// Waits on this thread.
    pub(super) fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.handle.block_on(work)
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }
}

impl Drop for CassandraStore {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Whoever drops it may be on an async thread, where nothing may wait.
            runtime.shutdown_background();
        }
    }
}

impl MessageStore for CassandraStore {
    fn acquire(&self, claim: &Claim) -> Result<Option<Lease>, StoreError> {
        self.wait(claims::acquire(&self.shared, claim))
    }

    fn renew(&self, leases: &[Lease]) -> Result<Vec<Fenced>, StoreError> {
        self.wait(claims::renew(&self.shared, leases))
    }

    fn commit(&self, batches: &[(Lease, Batch)]) -> Result<Vec<Fenced>, StoreError> {
        self.wait(commits::commit(&self.shared, batches))
    }

    fn view(&self) -> Result<Box<dyn StoreView + '_>, StoreError> {
        Ok(Box::new(CassandraView::begin(self)?))
    }

    fn readers(&self) -> usize {
        READERS
    }

    fn prefetch(&self, keys: &[(Partition, Keys)]) -> Result<Vec<Rows>, StoreError> {
        self.wait(prefetch::prefetch(&self.shared, keys))
    }
}
