//! What a hub is told: once at its start, and the time with everything that happens.

use protocol::limits::GatewayLimits;
use protocol::{Design, GatewayId, Incarnation};

/// The time: milliseconds since this gateway began. It never falls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// See above.
    pub ms: u64,
}

/// What a hub is told once.
#[derive(Clone, Copy, Debug)]
pub struct HubConfig {
    /// The gateway.
    pub gateway: GatewayId,
    /// Its life.
    pub incarnation: Incarnation,
    /// Partitions of the cluster.
    pub partitions: u16,
    /// Design choices.
    pub design: Design,
    /// How often a silent session is pinged, milliseconds.
    pub heartbeat_ms: u64,
    /// Silence after which a session is given up, milliseconds.
    pub idle_timeout_ms: u64,
    /// What it holds, at most.
    pub limits: GatewayLimits,
}
