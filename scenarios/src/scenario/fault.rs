//! What goes wrong, when, and whom it befalls.

use protocol::{ConversationId, UserId};
use std::time::Duration;

/// A fault by schedule.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// When it begins, counted from the beginning of the load.
    pub at: Duration,
    /// Repeats with this distance, until the load ends.
    pub every: Option<Duration>,
    /// How long it lasts (for `kill`, `power_loss` and `drain`: until the restart).
    pub lasts: Duration,
    /// What it is.
    pub kind: FaultKind,
}

/// The vocabulary of faults.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the fields are the words of the scenario file")]
pub enum FaultKind {
    /// Links stall, then heal; nothing is lost.
    Blip { between: Sides },
    /// A partition.
    Cut { between: Sides, one_way: bool },
    /// A partition again and again: down, up, down...
    Flap { between: Sides, down: Duration, up: Duration },
    /// Streams end mid-way, as by a middlebox that sends both ends a reset.
    Reset { between: Sides },
    /// Bytes arrive changed.
    Corrupt { between: Sides },
    /// Links with more latency.
    SlowLink { between: Sides, latency_min: Duration, latency_max: Duration },
    /// Links that carry so much; the rest stands in line in front of them.
    NarrowLink { between: Sides, bytes_per_second: u64 },
    /// The process dies and is restarted.
    Kill { target: Target },
    /// As `Kill`, and unsynced writes are lost or torn.
    PowerLoss { target: Target },
    /// The process is asked to end, finishes what it has in hand, and is restarted.
    Drain { target: Target },
    /// The process stops for a while and goes on, unaware.
    Pause { target: Target },
    /// The wall clock is off.
    Skew { target: Target, offset_ms: i64, drift_ppm: i64 },
    /// Nothing can be written to the disk.
    FullDisk { target: Target },
    /// The users do so many times as much; `more` is by how many operations, known once it is scheduled.
    Surge { factor: u32, more: u64 },
    /// So many of the sessions are left, and come back at once; `reconnects` is how many, known once it is
    /// scheduled.
    Storm { share: f64, reconnects: u64 },
    /// Strangers attack the gateways, so often.
    Hostile { attacks: u32 },
}

impl FaultKind {
    /// For people: what users and strangers do by themselves, and befalls no host.
    pub fn of_users(&self) -> Option<String> {
        match self {
            Self::Surge { factor, .. } => Some(format!("all users, {factor} times their rate")),
            Self::Storm { share, .. } => Some(format!("{:.0} % of the sessions", share * 100.0)),
            Self::Hostile { attacks } => Some(format!("all gateways, {attacks} times")),
            _ => None,
        }
    }

    /// The host that it befalls, unless it befalls links or users.
    pub const fn target(&self) -> Option<&Target> {
        match self {
            Self::Kill { target }
            | Self::PowerLoss { target }
            | Self::Drain { target }
            | Self::Pause { target }
            | Self::Skew { target, .. }
            | Self::FullDisk { target } => Some(target),
            Self::Blip { .. }
            | Self::Cut { .. }
            | Self::Flap { .. }
            | Self::Reset { .. }
            | Self::Corrupt { .. }
            | Self::SlowLink { .. }
            | Self::NarrowLink { .. }
            | Self::Surge { .. }
            | Self::Storm { .. }
            | Self::Hostile { .. } => None,
        }
    }

    /// Between whom the links are that it befalls, if it befalls links.
    pub const fn sides(&self) -> Option<&Sides> {
        match self {
            Self::Blip { between }
            | Self::Cut { between, .. }
            | Self::Flap { between, .. }
            | Self::Reset { between }
            | Self::Corrupt { between }
            | Self::SlowLink { between, .. }
            | Self::NarrowLink { between, .. } => Some(between),
            Self::Kill { .. }
            | Self::PowerLoss { .. }
            | Self::Drain { .. }
            | Self::Pause { .. }
            | Self::Skew { .. }
            | Self::FullDisk { .. }
            | Self::Surge { .. }
            | Self::Storm { .. }
            | Self::Hostile { .. } => None,
        }
    }

    /// Its word in a scenario file.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Blip { .. } => "blip",
            Self::Cut { .. } => "cut",
            Self::Flap { .. } => "flap",
            Self::Reset { .. } => "reset",
            Self::Corrupt { .. } => "corrupt",
            Self::SlowLink { .. } => "slow_link",
            Self::NarrowLink { .. } => "narrow_link",
            Self::Kill { .. } => "kill",
            Self::PowerLoss { .. } => "power_loss",
            Self::Drain { .. } => "drain",
            Self::Pause { .. } => "pause",
            Self::Skew { .. } => "skew",
            Self::FullDisk { .. } => "full_disk",
            Self::Surge { .. } => "surge",
            Self::Storm { .. } => "storm",
            Self::Hostile { .. } => "hostile",
        }
    }
}

/// Two sets of nodes: all links between them. One way: from the first to the second is cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sides {
    /// From.
    pub from: Vec<Target>,
    /// To; empty: all others.
    pub to: Vec<Target>,
}

/// Which nodes. Resolved when the fault begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// `store-1`.
    Node(String),
    /// `owner(conversation=3)`: the store node that owns it.
    Owner(ConversationId),
    /// `broker(conversation=3)`: the broker that leads the inbound queue of its partition.
    BrokerOf(ConversationId),
    /// `gateway(user=7)`: the gateway of the user's first device.
    GatewayOf(UserId),
    /// `clients(user=7)`: the client host that carries the user.
    ClientOf(UserId),
    /// `any store`: one, by seed.
    Any(Role),
    /// `every store`: all of them.
    Every(Role),
}

/// The roles of nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// `gateway-N`.
    Gateway,
    /// `broker-N`.
    Broker,
    /// `store-N`.
    Store,
    /// `notifier-N`.
    Notifier,
    /// `auth-N`.
    Auth,
    /// `clients-N`: hosts that carry users, not part of the cluster.
    Clients,
    /// `database-1`: what keeps the rows of stores that share an engine.
    Database,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 7] = [
        Self::Gateway,
        Self::Broker,
        Self::Store,
        Self::Notifier,
        Self::Auth,
        Self::Clients,
        Self::Database,
    ];

    /// Those that are there in every run.
    pub const EVERYWHERE: [Self; 6] =
        [Self::Gateway, Self::Broker, Self::Store, Self::Notifier, Self::Auth, Self::Clients];

    /// Its word: the part of a node's name before the number.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Broker => "broker",
            Self::Store => "store",
            Self::Notifier => "notifier",
            Self::Auth => "auth",
            Self::Clients => "clients",
            Self::Database => "database",
        }
    }

    /// The role of a host, and its number, from 1.
    pub fn of_host(name: &str) -> Option<(Self, u16)> {
        let (word, number) = name.rsplit_once('-')?;
        let role = Self::ALL.into_iter().find(|role| role.word() == word)?;
        Some((role, number.parse().ok().filter(|number| *number > 0)?))
    }
}

/// Fault episodes at random, by seed (swarm: each seed enables some of the kinds).
#[derive(Clone, Debug, PartialEq)]
pub struct RandomFaults {
    /// None begins within so long from the beginning of the load.
    pub lead: Duration,
    /// Mean time between the beginnings of two episodes.
    pub every: Duration,
    /// Shortest episode.
    pub lasts_min: Duration,
    /// Longest episode.
    pub lasts_max: Duration,
    /// Words of the kinds to draw from.
    pub kinds: Vec<String>,
    /// Roles that they befall.
    pub roles: Vec<Role>,
}
