//! Words: types with a few values, each with a name of its own.

use crate::scenario::{Arrivals, CodecChoice, Role, Transport};
use settings::words;

words!(Transport { "socket" => Self::Socket, "trunk" => Self::Trunk });
words!(CodecChoice { "json" => Self::Json, "binary" => Self::Binary });
words!(Arrivals { "poisson" => Self::Poisson, "constant" => Self::Constant });

words!(Role {
    "gateway" => Self::Gateway,
    "broker" => Self::Broker,
    "store" => Self::Store,
    "notifier" => Self::Notifier,
    "auth" => Self::Auth,
    "clients" => Self::Clients,
});

/// `verdict = "valid"`; what is violated is named by `violates`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValidVerdict;

words!(ValidVerdict { "valid" => Self });

/// The word of a kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultWord {
    /// Links stall, then heal.
    Blip,
    /// A partition.
    Cut,
    /// A partition again and again.
    Flap,
    /// Links with more latency.
    SlowLink,
    /// The process dies and is restarted.
    Kill,
    /// As kill, and unsynced writes are lost.
    PowerLoss,
    /// The process stops for a while.
    Pause,
    /// The wall clock is off.
    Skew,
}

words!(FaultWord {
    "blip" => Self::Blip,
    "cut" => Self::Cut,
    "flap" => Self::Flap,
    "slow_link" => Self::SlowLink,
    "kill" => Self::Kill,
    "power_loss" => Self::PowerLoss,
    "pause" => Self::Pause,
    "skew" => Self::Skew,
});

impl FaultWord {
    /// Whether such a fault can befall hosts of a role. Who observes the run must not die.
    pub fn can_befall(self, role: Role) -> bool {
        !(matches!(self, Self::Kill | Self::PowerLoss) && role == Role::Clients)
    }
}
