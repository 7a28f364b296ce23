//! Storage engines behind `ports::message_store`.
//!
//! The embedded one stands on the node's disk: commits go to a log, one forced write each, and lie as
//! layers in memory over a tree of redb, which takes them in now and then. The engine in memory exists
//! for tests.

mod backend;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod crash;
mod layer;
#[cfg(test)]
pub(crate) mod memory;
#[cfg(test)]
mod places;
mod redb_store;
mod tables;
mod tree;
mod tree_view;
mod view;

pub use redb_store::RedbStore;
