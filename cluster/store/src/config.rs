//! What a store node is told when it starts, and why it may end.

use crate::direct::GatewayLinks;
use crate::engine::{OpenError, Place};
use link::LinkTiming;
use ports::Directory;
use ports::message_store::MessageStore;
use protocol::limits::StoreLimits;
use protocol::{ConversationId, Design, NodeNumber, Partition, partition};
use std::io;
use std::sync::Arc;

/// One store node.
#[derive(Clone)]
pub struct StoreConfig {
    /// Which store node this is, from 1.
    pub number: NodeNumber,
    /// Partitions of the cluster.
    pub partitions_total: u16,
    /// Who owns what.
    pub directory: Arc<dyn Directory>,
    /// Which gateways consume over their links, for direct fan-out.
    pub gateways: Arc<GatewayLinks>,
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
    /// The partition of a conversation.
    pub fn home(&self, conversation: ConversationId) -> Partition {
        partition::partition_of(conversation, self.partitions_total)
    }
}

/// What keeps a store node's rows.
pub enum Engine {
    /// redb on the node's disk, which belongs to this place.
    Redb(Place),
    /// Something that was opened by others, and is kept small and closed by them.
    Opened(Arc<dyn MessageStore>),
}

/// Why a store node ended without being asked to.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The engine cannot be used.
    #[error("the store's engine")]
    Engine(#[source] OpenError),
    /// No connections can be accepted any more.
    #[error("accepting links")]
    Accept(#[source] io::Error),
    /// The machine's worker is gone: the node is being torn down.
    #[error("the worker is gone")]
    WorkerGone,
}
