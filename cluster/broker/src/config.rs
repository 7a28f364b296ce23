//! What a broker is told once.

use crate::core::Rules;
use link::LinkTiming;
use protocol::Design;
use protocol::limits::BrokerLimits;

/// What keeps the messages of a broker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BrokerEngine {
    /// A log on the node's disk.
    #[default]
    Embedded,
    /// The node's memory: everything is lost with its process.
    Memory,
}

/// The configuration of a broker.
#[derive(Clone, Copy, Debug, Default)]
pub struct BrokerConfig {
    /// What keeps the messages.
    pub engine: BrokerEngine,
    /// The design choices; the broker looks at `fsync`, `requeue` and `poison`.
    pub design: Design,
    /// Heartbeats and deadlines of the links to its clients.
    pub timing: LinkTiming,
    /// What it holds, at most.
    pub limits: BrokerLimits,
}

impl BrokerConfig {
    /// What the core needs of it.
    pub(crate) fn rules(&self) -> Rules {
        let (requeue, poison) = (self.design.requeue, self.design.poison);
        Rules { limits: self.limits, requeue, poison }
    }
}
