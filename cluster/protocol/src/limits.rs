//! Every limit of the cluster, in one place, with its reason.

use std::time::Duration;

/// Longest text of a message: long enough for a page of prose, short enough for a thousand in flight.
pub const MAX_BODY_BYTES: usize = 16 * 1024;
/// Largest WebSocket message of one session; four bodies, so that escaped JSON fits.
pub const MAX_FRAME_BYTES: usize = 64 * 1024;
/// Largest WebSocket message of a trunk, which carries many sessions.
pub const MAX_TRUNK_FRAME_BYTES: usize = 1024 * 1024;
/// Most sessions on one trunk connection.
pub const MAX_TRUNK_SESSIONS: usize = 100_000;
/// Most cursors in one `hello`: 4,000 of 10 bytes stay below `MAX_FRAME_BYTES` in binary.
pub const MAX_CURSORS: usize = 4_000;
/// Most entries in one backlog page.
pub const MAX_PAGE: u32 = 200;
/// Most members of one conversation.
pub const MAX_MEMBERS: usize = 10_000;
/// Frames waiting for one session before it counts as slow.
pub const SESSION_QUEUE_FRAMES: usize = 4_096;
/// Bytes waiting for one session before it counts as slow.
pub const SESSION_QUEUE_BYTES: usize = 1024 * 1024;
/// Sends, edits and deletions per second and user (refill of the token bucket).
pub const RATE_PER_SECOND: u32 = 50;
/// Burst of the same token bucket.
pub const RATE_BURST: u32 = 200;
/// Rate-limited frames in a row after which the session is closed.
pub const RATE_STRIKES: u32 = 1_000;
/// How long a fresh connection may take to say `hello`.
pub const HELLO_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a gateway pings a session in which nothing was heard.
pub const CLIENT_HEARTBEAT: Duration = Duration::from_secs(5);
/// Silence after which either side gives a session up: two heartbeats and a half.
pub const CLIENT_IDLE_TIMEOUT: Duration = Duration::from_millis(12_500);
/// How often two nodes ping each other.
pub const LINK_HEARTBEAT: Duration = Duration::from_millis(500);
/// Silence after which a node gives a link up.
pub const LINK_IDLE_TIMEOUT: Duration = Duration::from_millis(2_500);
/// How long a node tries to connect before it tries anew (a connect through a stalled link hangs).
pub const LINK_CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Largest frame between two nodes.
pub const MAX_LINK_FRAME_BYTES: usize = 16 * 1024 * 1024;
/// Deadline of one call between two nodes.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// Deliveries that a partition's owner holds unacknowledged.
pub const INBOUND_PREFETCH: u32 = 1_024;
/// Attempts at one delivery before it goes to the dead letters.
pub const DELIVERY_LIMIT: u32 = 5;
/// Messages waiting in one gateway queue before it overflows (the gateway then repairs from the store).
pub const GATEWAY_QUEUE_MESSAGES: usize = 65_536;
/// Messages waiting in one durable queue before publishers are told to wait.
pub const DURABLE_QUEUE_MESSAGES: usize = 1_000_000;
/// Members that a newly attached watcher is told are online, at most.
pub const MAX_PRESENCE_NOTICES: usize = 64;
/// Most attachments that an owner answers between two commits, so that a storm of them does not hold
/// up the messages.
pub const ATTACH_BATCH: usize = 1_024;
/// Batches of an owner whose publications may be unconfirmed at a time.
pub const OWNER_WINDOW: usize = 8;
/// Largest single publication: far above any record, far below a link frame.
pub const MAX_PUBLICATION_BYTES: usize = 4 * 1024 * 1024;
/// Bytes waiting in one gateway queue before it overflows: 65,536 short messages, or fewer long ones.
pub const GATEWAY_QUEUE_BYTES: u64 = 128 * 1024 * 1024;
/// Bytes of all durable messages (they are in memory too) before publishers are told to wait.
pub const BROKER_DURABLE_BYTES: u64 = 2 * 1024 * 1024 * 1024;
/// About the size of a segment of the broker's log: small enough to be written again in a moment.
pub const BROKER_SEGMENT_BYTES: u64 = 16 * 1024 * 1024;
/// Bytes of messages in one frame between the broker and its clients, a larger message excepted.
pub const BROKER_FRAME_BYTES: u64 = 64 * 1024;
/// Delivery frames under way on one link to the broker, shared fairly by its subscriptions.
pub const BROKER_FRAMES_UNDER_WAY: usize = 32;
/// Subscriptions of one link to the broker: a node consumes a few queues.
pub const MAX_LINK_SUBSCRIPTIONS: usize = 4_096;
/// Requests, cursors and attachments that wait in front of an owner, each; beyond it callers are told
/// to come back, and cursors are dropped.
pub const OWNER_BACKLOG: usize = 16_384;
/// Largest body of a REST request: a group with `MAX_MEMBERS` members, 18 bytes each, fits.
pub const MAX_REST_BODY_BYTES: usize = 256 * 1024;
/// REST requests per second and user (refill of the token bucket).
pub const REST_PER_SECOND: u32 = 50;
/// Burst of the same token bucket.
pub const REST_BURST: u32 = 200;
/// Longest reason of a dead letter; a longer one is cut.
pub const MAX_REASON_BYTES: usize = 1_024;
