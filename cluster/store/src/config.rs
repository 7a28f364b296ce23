//! What a store node is told when it starts, and why it may end.

use link::LinkTiming;
use ports::message_store::{Place, StoreError};
use protocol::limits::StoreLimits;
use protocol::{Design, NodeNumber, Partition, partition};
use std::io;

/// One store node.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// Which store node this is, from 1.
    pub number: NodeNumber,
    /// Partitions of the cluster.
    pub partitions_total: u16,
    /// Store nodes of the cluster.
    pub stores_total: u16,
    /// Queues of push jobs.
    pub notify_queues: u16,
    /// Design choices.
    pub design: Design,
    /// Heartbeats of the links from gateways.
    pub timing: LinkTiming,
    /// The newest entries of each conversation that are kept; `None`: all.
    pub retention: Option<u64>,
    /// What the node holds, at most.
    pub limits: StoreLimits,
}

impl StoreConfig {
    /// What the disk of this node remembers.
    pub fn place(&self) -> Place {
        let Self { number, stores_total: stores, partitions_total: partitions, .. } = *self;
        Place { number, stores, partitions }
    }

    /// The partitions that live on this node.
    pub fn partitions(&self) -> impl Iterator<Item = Partition> + '_ {
        let here = |p: &Partition| partition::home_of(*p, self.stores_total) == self.number;
        (0..self.partitions_total).map(Partition).filter(here)
    }
}

/// Why a store node ended without being asked to.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The engine cannot be used.
    #[error("the store's engine")]
    Engine(#[source] StoreError),
    /// No connections can be accepted any more.
    #[error("accepting links")]
    Accept(#[source] io::Error),
    /// The machine's worker is gone: the node is being torn down.
    #[error("the worker is gone")]
    WorkerGone,
}
