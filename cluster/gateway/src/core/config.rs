//! What a hub is told once, at its start.

use protocol::limits::GatewayLimits;
use protocol::{Design, GatewayId, Incarnation};

/// See the module.
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
