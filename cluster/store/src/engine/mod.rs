//! Storage engines behind `ports::message_store`.
//!
//! redb on the node's disk is the embedded one; the engine in memory exists for tests.

mod backend;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod crash;
#[cfg(test)]
pub(crate) mod crash_disk;
#[cfg(test)]
pub(crate) mod memory;
mod redb_store;
mod redb_view;
mod tables;

pub use redb_store::RedbStore;
