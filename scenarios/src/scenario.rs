//! A validated scenario. `parse` makes one from TOML; everything else trusts its values.

mod expect;
mod fault;
mod load;
mod tries;

pub use expect::{
    Expect, ExpectedOutcome, LatencyBounds, OperationBounds, PercentileBounds, RequestBounds,
    Thresholds,
};
pub use fault::{Fault, FaultKind, RandomFaults, Role, Sides, Target};
pub use load::{Activity, Arrivals, Load, LoadPhase, Mix, Rate, SlowReaders, Vanishing, Visits};
use protocol::{Design, LimitSet, StoreEngine};
use std::time::Duration;
pub use tries::Try;

/// How long a user whose tokens were revoked stays away, at most; long enough that a session which outlives its
/// token is noticed.
pub const REVOKED_FOR_MAX: Duration = Duration::from_secs(6);

/// One run to make.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// The file's name without `.toml`.
    pub name: String,
    /// What the run answers.
    pub question: String,
    /// What a reader learns.
    pub lesson: String,
    /// What is worth trying, and what it brings.
    pub tries: Vec<Try>,
    /// The cluster.
    pub cluster: ClusterShape,
    /// Design choices; what is left out is the sound default.
    pub design: Design,
    /// Who uses it.
    pub users: Users,
    /// What they do.
    pub load: Load,
    /// Who uses the REST interface beside them.
    pub journeys: Option<Journeys>,
    /// The simulated network, when nothing is wrong.
    pub network: NetworkShape,
    /// What goes wrong by schedule.
    pub faults: Vec<Fault>,
    /// What goes wrong at random, by seed.
    pub random_faults: Option<RandomFaults>,
    /// What must come out.
    pub expect: Expect,
    /// How long each phase may take.
    pub phases: PhaseLengths,
}

/// How many of each role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClusterShape {
    /// Gateways, from 1.
    pub gateways: u16,
    /// Brokers; 1 in this version.
    pub brokers: u16,
    /// Store nodes, from 1.
    pub stores: u16,
    /// Partitions, at least as many as stores.
    pub partitions: u16,
    /// Copies of a partition; 1 in this version.
    pub replication: u16,
    /// What keeps the rows of the stores.
    pub engine: StoreEngine,
    /// How much each node holds.
    pub limits: LimitSet,
    /// How long an access token lives, whole seconds.
    pub token_lifetime: Duration,
    /// How often a gateway pings a silent session, whole seconds.
    pub heartbeat: Duration,
    /// Silence after which a node gives a link to another one up.
    pub link_timeout: Duration,
}

/// Who uses the cluster. Users are 1 to `count`; conversations are 1 to `direct + groups`, direct
/// ones first.
#[derive(Clone, Debug, PartialEq)]
pub struct Users {
    /// Users.
    pub count: u32,
    /// Devices of each user that are connected, from 1.
    pub devices: u32,
    /// Direct conversations.
    pub direct: u32,
    /// Group conversations.
    pub groups: u32,
    /// Members of a group.
    pub group_size: Size,
    /// Users of whom no device ever connects, so that they get pushes: the last ones. A device that
    /// connected only to be judged would begin at the head and have nothing to show.
    pub offline: u32,
    /// The share of the devices that get another token before theirs runs out.
    pub renewing: f64,
    /// How long connecting everybody takes.
    pub connect_over: Duration,
    /// How sessions are carried.
    pub transport: Transport,
    /// How frames are written.
    pub codec: CodecChoice,
}

/// A distribution of whole numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Size {
    /// Always this.
    Fixed(u32),
    /// Uniform in the range, both ends included.
    Uniform(u32, u32),
    /// Zipf-distributed ranks over the range, both ends included; larger exponents favour small.
    Zipf(u32, u32, f64),
}

/// How sessions are carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A WebSocket each.
    Socket,
    /// Many sessions on one WebSocket per gateway.
    Trunk,
}

/// How frames are written on sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodecChoice {
    /// JSON text.
    Json,
    /// postcard.
    Binary,
}

/// Users of the REST interface, beside the others: the last ones. A closed loop: each waits for the answer,
/// thinks, and goes on the next journey.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Journeys {
    /// How many.
    pub users: u32,
    /// Between two journeys.
    pub think: Duration,
    /// Groups of the others that each is a member of from the beginning.
    pub groups: u32,
    /// Shares of the journeys; they add up to 1.
    pub mix: JourneyMix,
}

/// Shares of the journeys.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct JourneyMix {
    /// All stored entries of a conversation, page by page.
    pub page_backlog: f64,
    /// A new group.
    pub create_conversation: f64,
    /// The user leaves a group, or comes back.
    pub change_members: f64,
    /// Another access token.
    pub sign_in: f64,
}

/// The simulated network at rest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NetworkShape {
    /// Shortest latency of a link.
    pub latency_min: Duration,
    /// Longest latency of a link.
    pub latency_max: Duration,
    /// The simulator's time step.
    pub tick: Duration,
    /// Latency of a forced write.
    pub disk_sync: Duration,
}

/// How long each phase takes (load: the sum of its phases).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhaseLengths {
    /// Everybody connects.
    pub warm_up: Duration,
    /// After the heal, with load going on at the last rate.
    pub heal: Duration,
    /// Without load.
    pub settle: Duration,
}
