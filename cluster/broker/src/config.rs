//! What a broker is told once.

use crate::core::Rules;
use link::LinkTiming;
use protocol::Design;
use protocol::limits::BrokerLimits;

/// The configuration of a broker.
#[derive(Clone, Copy, Debug, Default)]
pub struct BrokerConfig {
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
