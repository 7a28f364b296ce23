//! Every limit of the cluster, in one place, with its reason: here those that nobody configures, in
//! `cluster` those of one cluster.

mod cluster;

pub use cluster::{
    AuthLimits, BrokerLimits, GatewayLimits, LimitSet, Limits, NotifierLimits, Row, StoreLimits,
};

use std::time::Duration;

/// Longest text of a message: long enough for a page of prose, short enough for a thousand in flight.
pub const MAX_BODY_BYTES: usize = 16 * 1024;
/// Largest WebSocket message of one session; four bodies, so that escaped JSON fits.
pub const MAX_FRAME_BYTES: usize = 64 * 1024;
/// Largest WebSocket message of a trunk, which carries many sessions.
pub const MAX_TRUNK_FRAME_BYTES: usize = 1024 * 1024;
/// Most fragments of one WebSocket message: 64 bytes each in the largest of a session. Empty ones add
/// nothing to its size, and would be read without end.
pub const MAX_FRAGMENTS: u32 = 1_024;
/// Most sessions on one trunk connection.
pub const MAX_TRUNK_SESSIONS: usize = 100_000;
/// Most cursors in one frame: 4,000 of 10 bytes stay below `MAX_FRAME_BYTES` in binary.
pub const MAX_CURSORS: usize = 4_000;
/// As many surely fit in JSON, too.
pub const SAFE_CURSORS: usize = 1_000;
/// Most cursors of one session: 1.6 MB until it is welcomed.
pub const MAX_CURSORS_IN_ALL: usize = 100_000;
/// Most entries in one backlog page.
pub const MAX_PAGE: u32 = 200;
/// Most members of one conversation.
pub const MAX_MEMBERS: usize = 10_000;
/// How long a fresh connection may take to say `hello`.
pub const HELLO_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a gateway pings a session in which nothing was heard, unless configured otherwise; never
/// more often, for a trunk says no more often that it is alive.
pub const CLIENT_HEARTBEAT: Duration = Duration::from_secs(5);
/// The longest time between two heartbeats: longer ones notice nothing that anybody still waits for.
pub const CLIENT_HEARTBEAT_MAX: Duration = Duration::from_mins(10);
/// Silence after which either side gives a session up, by the default heartbeat.
pub const CLIENT_IDLE_TIMEOUT: Duration = client_idle_timeout(CLIENT_HEARTBEAT);

/// Silence after which either side gives a session up: two heartbeats and a half.
pub const fn client_idle_timeout(heartbeat: Duration) -> Duration {
    Duration::from_millis(heartbeat.as_millis() as u64 * 5 / 2)
}

/// Silence after which a node gives a link to another one up, unless configured otherwise.
pub const LINK_IDLE_TIMEOUT: Duration = Duration::from_millis(2_500);
/// The shortest such silence: a node that is busy for less is not lost.
pub const LINK_IDLE_TIMEOUT_MIN: Duration = Duration::from_secs(1);
/// The longest: whoever waits for an answer gives up before.
pub const LINK_IDLE_TIMEOUT_MAX: Duration = Duration::from_mins(1);
/// How long a node tries to connect before it tries anew (a connect through a stalled link hangs).
pub const LINK_CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Largest frame between two nodes.
pub const MAX_LINK_FRAME_BYTES: usize = 16 * 1024 * 1024;
/// Deadline of one call between two nodes.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// Attempts at one push before it becomes a dead letter.
pub const PUSH_ATTEMPTS: u32 = 5;
/// Largest single publication: far above any record, far below a link frame.
pub const MAX_PUBLICATION_BYTES: usize = 4 * 1024 * 1024;
/// Subscriptions of one link to the broker: a node consumes a few queues.
pub const MAX_LINK_SUBSCRIPTIONS: usize = 4_096;
/// Largest body of a REST request: a group with `MAX_MEMBERS` members, 18 bytes each, fits.
pub const MAX_REST_BODY_BYTES: usize = 256 * 1024;
/// Most conversations that one request makes: as many direct ones surely fit in `MAX_REST_BODY_BYTES`.
pub const MAX_BATCH: usize = 2_000;
/// Longest reason of a dead letter; a longer one is cut.
pub const MAX_REASON_BYTES: usize = 1_024;
