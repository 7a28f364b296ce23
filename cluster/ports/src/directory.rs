//! Where the owner of a partition is found.
//!
//! Store nodes, gateways and services each have one. What it knows may be old: the engine alone decides
//! who may write, and whoever is asked in error says so and names the owner that it knows of.

use protocol::{Epoch, NodeNumber, Partition};
use serde::{Deserialize, Serialize};

/// Who owns a partition, and under which epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The store node.
    pub node: NodeNumber,
    /// The epoch; 0: nobody has named one yet.
    pub epoch: Epoch,
}

/// What is known of the owners.
pub trait Directory: Send + Sync {
    /// The owner of a partition, as far as is known.
    fn owner(&self, partition: Partition) -> Owner;
    /// The nodes that can own a partition, the preferred one first.
    fn candidates(&self, partition: Partition) -> Vec<NodeNumber>;
    /// Somebody has named an owner: whether another one was known before, or another epoch of the same,
    /// so that what it was asked to remember is forgotten. Older epochs are no news.
    fn learn(&self, partition: Partition, owner: Owner) -> bool;
}
