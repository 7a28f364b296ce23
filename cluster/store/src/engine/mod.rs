//! Storage engines behind `ports::message_store`.
//!
//! - `RedbStore` stands on the node's disk: commits go to a log, one forced write each, and lie as
//!   layers in memory over a tree of redb, which takes them in now and then.
//! - `MemoryStore` keeps nothing beyond its process.
//! - `weakened` spoils an engine on purpose, for the bad design choices.

mod backend;
mod check;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
#[cfg(test)]
mod crash;
mod layer;
mod memory;
#[cfg(test)]
mod places;
mod redb_store;
mod tables;
mod tree;
mod tree_view;
mod view;
pub(crate) mod weakened;

pub use check::{CheckError, StoreChecked, check, is_on};
pub use memory::MemoryStore;
pub use redb_store::RedbStore;
pub use tables::Place;

use ports::message_store::StoreError;

/// Why a disk cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The data belongs to another place. Trying again will not help.
    #[error(
        "the data was made for {made}, and was opened for {asked}; the number of stores and of \
         partitions never changes for given data: start with {} stores and {} partitions, or with \
         another data folder", .made.stores, .made.partitions
    )]
    OtherPlace {
        /// As it is stored.
        made: Place,
        /// As it was asked for.
        asked: Place,
    },
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] StoreError),
}
