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
    "database" => Self::Database,
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
    /// Streams end mid-way.
    Reset,
    /// Bytes arrive changed.
    Corrupt,
    /// Links with more latency.
    SlowLink,
    /// Links with less bandwidth.
    NarrowLink,
    /// The process dies and is restarted.
    Kill,
    /// As kill, and unsynced writes are lost.
    PowerLoss,
    /// The process is asked to end, and is restarted.
    Drain,
    /// The process stops for a while.
    Pause,
    /// The wall clock is off.
    Skew,
    /// The disk has no room left.
    FullDisk,
    /// The users do more.
    Surge,
    /// Sessions are left, and come back at once.
    Storm,
    /// Strangers attack.
    Hostile,
}

words!(FaultWord {
    "blip" => Self::Blip,
    "cut" => Self::Cut,
    "flap" => Self::Flap,
    "reset" => Self::Reset,
    "corrupt" => Self::Corrupt,
    "slow_link" => Self::SlowLink,
    "narrow_link" => Self::NarrowLink,
    "kill" => Self::Kill,
    "power_loss" => Self::PowerLoss,
    "drain" => Self::Drain,
    "pause" => Self::Pause,
    "skew" => Self::Skew,
    "full_disk" => Self::FullDisk,
    "surge" => Self::Surge,
    "storm" => Self::Storm,
    "hostile" => Self::Hostile,
});

impl FaultWord {
    /// Why such a fault cannot befall hosts of a role, if it cannot.
    pub const fn spares(self, role: Role) -> Option<&'static str> {
        match (self, role) {
            (Self::Kill | Self::PowerLoss | Self::Drain, Role::Clients) => Some(
                "the users observe the run, and dead ones observe nothing; pause clients, or cut their links",
            ),
            (Self::FullDisk, Role::Gateway | Role::Notifier | Role::Clients) => {
                Some("only brokers, stores and auth write to a disk")
            }
            (Self::Corrupt, Role::Auth | Role::Clients) => Some(
                "HTTP and WebSockets carry no checksum of their own, so that what arrives changed was sent \
                 changed, as far as anybody can tell; frames between gateways, brokers, stores and the notifier \
                 do",
            ),
            (Self::Drain, Role::Database) => {
                Some("a database can be killed and paused; nobody waits for it to end")
            }
            (
                Self::Kill
                | Self::PowerLoss
                | Self::Drain
                | Self::Pause
                | Self::Surge
                | Self::Storm
                | Self::Hostile,
                _,
            ) => None,
            (_, Role::Database) => {
                Some("a database can be killed and paused; nodes reach it beside broker-1")
            }
            _ => None,
        }
    }
}
