//! The adapter of the port.
//!
//! The port's calls block, on the threads of workers; the connections need somebody who reads from them all
//! the time. So the adapter has a small runtime of its own: a call waits on its worker's thread for what the
//! runtime's threads do. The node's own runtime would do for the connections, but a node that is torn down
//! drops it while workers still wait, and a call would then never end. Never make a call on an async thread:
//! waiting there panics, by tokio's own check.

use super::leases;
use super::session::Sessions;
use super::tls::TlsError;
use super::view::PostgresView;
use super::{commits, prefetch};
use crate::config::PostgresConfig;
use crate::core::writers::Writers;
use ports::entered;
use ports::message_store::{
    Batch, Claim, Fenced, Keys, Lease, MessageStore, Rows, StoreError, StoreView,
};
use protocol::Partition;
use std::io;
use std::sync::Mutex;
use tokio::runtime::{Builder, Handle, Runtime};

/// Threads that drive the connections of a node: they encode nothing and decide nothing.
const THREADS: usize = 2;

/// A node's way to PostgreSQL. Dropping it closes its connections.
pub struct PostgresStore {
    sessions: Sessions,
    writers: Mutex<Writers>,
    readers: usize,
    handle: Handle,
    /// Until it is dropped.
    runtime: Option<Runtime>,
}

/// Why there is no way.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The certificates.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The threads.
    #[error("the threads for PostgreSQL cannot be started")]
    Threads(#[source] io::Error),
}

impl PostgresStore {
    /// Connects when it is needed, as `name`. The first connection makes the tables, if there are none.
    ///
    /// # Panics
    /// The configuration has no host.
    pub fn start(name: &str, config: &PostgresConfig) -> Result<Self, StartError> {
        let sessions = Sessions::new(config, name)?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("postgres")
            .enable_all()
            .build()
            .map_err(StartError::Threads)?;
        let (writers, handle) = (Mutex::default(), runtime.handle().clone());
        // The other half of the connections is for commits and ownership.
        let readers = usize::from(config.connections / 2).max(1);
        Ok(Self { sessions, writers, readers, handle, runtime: Some(runtime) })
    }

    /// Waits on this thread.
    pub(super) fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.handle.block_on(work)
    }

    pub(super) fn in_background(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.handle.spawn(work);
    }

    pub(super) fn sessions(&self) -> &Sessions {
        &self.sessions
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Whoever drops it may be on an async thread, where nothing may wait.
            runtime.shutdown_background();
        }
    }
}

impl MessageStore for PostgresStore {
    fn acquire(&self, claim: &Claim) -> Result<Option<Lease>, StoreError> {
        let lease = self.wait(async {
            let session = self.sessions.get().await?;
            leases::acquire(&session, claim).await
        })?;
        if let Some(lease) = lease {
            entered(self.writers.lock()).learn(lease, Writers::FIRST);
        }
        Ok(lease)
    }

    fn renew(&self, leases: &[Lease]) -> Result<Vec<Fenced>, StoreError> {
        if leases.is_empty() {
            return Ok(Vec::new());
        }
        self.wait(async {
            let session = self.sessions.get().await?;
            leases::renew(&session, leases).await
        })
    }

    fn commit(&self, batches: &[(Lease, Batch)]) -> Result<Vec<Fenced>, StoreError> {
        self.wait(commits::commit(&self.sessions, &self.writers, batches))
    }

    fn view(&self) -> Result<Box<dyn StoreView + '_>, StoreError> {
        Ok(Box::new(PostgresView::begin(self)?))
    }

    fn readers(&self) -> usize {
        self.readers
    }

    fn prefetch(&self, keys: &[(Partition, Keys)]) -> Result<Vec<Rows>, StoreError> {
        self.wait(async {
            let session = self.sessions.get().await?;
            prefetch::prefetch(&session, keys).await
        })
    }
}
