//! Conversation owners: sequence, de-duplicate, persist, attach, backlog.
//!
//! - `core` decides: a partition is a deterministic state machine fed by an ordered log of commands.
//! - `engine` keeps rows: redb on the node's disk, or memory.
//! - `shell` runs a store node: `serve`.
//! - `client` asks the owners from elsewhere: `RemoteConversations`.
//! - `direct` fans out over the links between the two, where that is chosen.
//!
//! Gateways' queues, their gaps and their repair are the gateways' business; nothing durable depends
//! on what is published to them.

mod client;
mod config;
pub mod core;
mod direct;
mod directory;
#[cfg(test)]
mod end_to_end;
mod engine;
mod shell;
mod tasks;
mod wire;
#[cfg(test)]
mod world;

pub use client::RemoteConversations;
pub use config::{Engine, ServeError, StoreConfig};
pub use direct::GatewayLinks;
pub use directory::{SharedDirectory, StaticDirectory};
#[cfg(any(test, feature = "conformance"))]
pub use engine::conformance;
pub use engine::{
    CheckError, MemoryStore, OpenError, Place, RedbStore, StoreChecked, check, is_on,
};
pub use shell::serve;
