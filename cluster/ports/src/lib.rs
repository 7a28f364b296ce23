//! The seams: what the cluster needs from its surroundings, as plain traits, one per file.
//!
//! No adapter lives here. Real ones are in `real`, simulated ones in `sim`. The traits are
//! object safe on purpose: the cluster is compiled once, and the same machine code runs on real
//! sockets and in the simulator (see `docs/decisions/dynamic-ports.md`).

#![warn(missing_docs)]

pub mod broker;
pub mod causes;
pub mod clock;
pub mod conversations;
pub mod directory;
pub mod disk;
pub mod entropy;
pub mod locks;
pub mod message_store;
pub mod network;
pub mod panics;
pub mod shutdown;
pub mod tasks;
pub mod telemetry;
pub mod tokens;
pub mod traces;

pub use broker::Brokers;
pub use causes::with_causes;
pub use clock::WallClock;
pub use conversations::{CallError, Conversations, StoreEvent};
pub use directory::Directory;
pub use disk::{Disk, DiskFile};
pub use entropy::Entropy;
pub use locks::entered;
pub use network::{Listener, Network, Stream};
pub use shutdown::{Shutdown, ShutdownTrigger};
pub use tasks::{Tasks, Worker};
pub use telemetry::Telemetry;
pub use tokens::{Claims, Scopes, TokenError, TokenVerifier};
pub use traces::{NoTraces, Span, Traces};

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// A boxed future that can move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The machine that a node runs on: everything outside its own memory.
#[derive(Clone)]
pub struct Machine {
    /// The node's name in the topology: `gateway-1`.
    pub name: Arc<str>,
    /// Its network.
    pub network: Arc<dyn Network>,
    /// Its disk: one directory of its own.
    pub disk: Arc<dyn Disk>,
    /// Its wall clock, which may be wrong.
    pub clock: Arc<dyn WallClock>,
    /// Its randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Its tasks and blocking workers.
    pub tasks: Arc<dyn Tasks>,
    /// Where its numbers go.
    pub telemetry: Arc<dyn Telemetry>,
    /// Where the steps of single messages go.
    pub traces: Arc<dyn Traces>,
}

impl Machine {
    /// Starts a task of this node; it ends when it returns, is aborted, or the node dies.
    pub fn spawn(
        &self,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> tokio::task::AbortHandle {
        self.tasks.spawn(name, Box::pin(task))
    }
}
