//! The limits that a cluster can be run with: the configurable ones, as one plain value.
//!
//! What is promised to clients whatever the configuration stands in the module above. `docs/running.md`
//! has a table of these.

use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// A row of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// `role.name`.
    pub name: String,
    /// Its meaning.
    pub meaning: String,
    /// By default.
    pub default: u64,
    /// In the tiny set.
    pub tiny: u64,
}

/// Declares the limits of a role: `name: type = default, tiny;`.
macro_rules! limits {
    ($(#[$doc:meta])* $name:ident {
        $($(#[doc = $meaning:literal])+ $field:ident: $type:ty = $default:expr, $tiny:expr;)+
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name {
            $($(#[doc = $meaning])+ pub $field: $type,)+
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)+ }
            }
        }

        impl $name {
            /// So small that each is reached by a small cluster in half a minute. What bounds a rate (windows,
            /// pages, prefetch) still lets 60 messages a second pass at a round trip of 160 ms.
            pub const fn tiny() -> Self {
                Self { $($field: $tiny,)+ }
            }

            fn rows(role: &str) -> impl Iterator<Item = Row> {
                let (default, tiny) = (Self::default(), Self::tiny());
                [$(Row {
                    name: format!("{role}.{}", stringify!($field)),
                    meaning: concat!($($meaning),+).trim().to_owned(),
                    default: default.$field as u64,
                    tiny: tiny.$field as u64,
                }),+].into_iter()
            }
        }
    };
}

limits!(
    /// Of a gateway.
    GatewayLimits {
        /// Sessions
        sessions: usize = 1_000_000, 1_000;
        /// Sessions of one user; one more ends the oldest
        user_sessions: u16 = 64, 20;
        /// Connections that are no sessions: they ask, or are kept for the next request; more wait. One
        /// address has no more than are free, half of them at most
        connections: u32 = 16_384, 256;
        /// Seconds that a client may take nothing of an answer; each KiB that it takes buys it another
        stalled_answer_seconds: u8 = 30, 3;
        /// Sessions that have not said hello yet. One address has no more than are free, half of them at most
        greeting: usize = 16_384, 128;
        /// Frames waiting for one session before it counts as slow
        session_queue_frames: usize = 4_096, 40;
        /// Bytes waiting for one session before it counts as slow
        session_queue_bytes: usize = 1024 * 1024, 128 * 1024;
        /// Sends, edits and deletions per second and user
        rate_per_second: u32 = 50, 50;
        /// As many of them may come at once
        rate_burst: u32 = 200, 8;
        /// Rate-limited frames in a row after which the session is closed
        rate_strikes: u32 = 1_000, 100;
        /// Unanswered sends, edits and deletions of one session
        unanswered: usize = 256, 16;
        /// Answered messages of one session that are remembered, so that a refused copy of one holds
        /// nothing back
        answered: usize = 64, 32;
        /// Entries of a stream that are kept for sessions which are about to catch up
        recent_entries: usize = 256, 2;
        /// Entries of a stream that are kept behind a gap
        pending_entries: usize = 256, 2;
        /// Entries in one page that fills a gap of a stream; all of them go to the sessions at once, so
        /// it must be well below their queues
        repair_page: u32 = super::MAX_PAGE, 16;
        /// Entries in one page for a session that catches up
        catch_up_page: u32 = 100, 16;
        /// Pages for one session under way at a time
        catch_up_pages: u8 = 2, 1;
        /// Attachments in one call of the owners
        attach_items: usize = 500, 16;
        /// Calls for attachments under way at a time
        attach_calls: usize = 4, 2;
        /// Users whose conversations are looked up in one call
        lookup_users: usize = 500, 4;
        /// Lookups under way at a time; what comes meanwhile goes into the next one
        lookup_calls: usize = 2, 1;
        /// Receipts that go to the owners before their time, because there are so many
        receipts: usize = 10_000, 8;
        /// Members of a conversation who are all told how far the others have got; of more, only authors of
        /// what was newly delivered or read are
        receipts_audience: usize = 32, 4;
        /// Deliveries of the gateway's queue that it holds unacknowledged
        prefetch: u32 = 4_096, 64;
        /// REST requests per second and user
        rest_per_second: u32 = 50, 50;
        /// As many of them may come at once
        rest_burst: u32 = 200, 10;
        /// REST requests with a token under way at a time
        rest_requests: usize = 512, 64;
        /// Users whose REST requests are counted
        rest_users: usize = 65_536, 4;
        /// Requests for metrics, the documents and the keys, which need no token, per second and address
        open_per_second: u32 = 10, 10;
        /// As many of them may come at once
        open_burst: u32 = 100, 50;
        /// Requests for tokens, logouts and the like that fail, per minute and address; beyond it all are
        /// refused
        auth_failures_per_minute: u32 = 600, 600;
        /// As many of them may fail, or be under way, at once
        auth_failures_burst: u32 = 500, 100;
        /// Addresses whose requests are counted
        sources: usize = 65_536, 64;
        /// Departures that are said again to an owner that was away; beyond it later ones are said once
        departures: usize = 65_536, 1_024;
    }
);

limits!(
    /// Of the broker.
    BrokerLimits {
        /// Dead letters that are held; beyond it, or a quarter of `broker.durable_bytes`, the oldest gives way
        dead_letters: usize = 1_000_000, 1_000;
        /// About the bytes of a segment of the log: small enough to be written again in a moment
        segment_bytes: u64 = 16 * 1024 * 1024, 16 * 1024;
        /// Messages waiting in one durable queue before publishers are told to wait
        durable_queue_messages: usize = 1_000_000, 64;
        /// Messages in one queue of notifications; beyond it, or a quarter of `broker.durable_bytes`, the
        /// oldest gives way. A notifier holds on to those whose users may come back, so it must hold
        /// some seconds of them
        notify_queue_messages: usize = 1_000_000, 8_192;
        /// Bytes of all durable messages (they are in memory too) before publishers are told to wait
        durable_bytes: u64 = 2 * 1024 * 1024 * 1024, 4 * 1024 * 1024;
        /// Messages waiting in one gateway's queue before it overflows (the gateway then repairs from
        /// the store)
        gateway_queue_messages: usize = 65_536, 16;
        /// Bytes waiting in one gateway's queue before it overflows
        gateway_queue_bytes: u64 = 128 * 1024 * 1024, 64 * 1024;
        /// Bytes of messages in one frame to a client of the broker, a larger message excepted
        frame_bytes: u64 = 64 * 1024, 8 * 1024;
        /// Delivery frames under way on one link, shared fairly by its subscriptions
        frames_under_way: usize = 32, 4;
    }
);

limits!(
    /// Of a store node.
    StoreLimits {
        /// Deliveries of a partition that its owner holds unacknowledged
        inbound_prefetch: u32 = 1_024, 32;
        /// Batches of an owner whose publications may be unconfirmed at a time
        owner_window: usize = 8, 4;
        /// Commands in one group commit
        group_commit: usize = 1_024, 16;
        /// Groups of the log after which a checkpoint is due: a restart then has little to read again,
        /// whatever the size of the groups
        checkpoint_groups: u64 = 256, 16;
        /// Bytes of the log after which a checkpoint is due
        checkpoint_bytes: u64 = 8 * 1024 * 1024, 64 * 1024;
        /// Bytes of the log that may be missing in the tree before commits wait for the checkpoint: all
        /// of it is in memory too
        behind_bytes: u64 = 256 * 1024 * 1024, 128 * 1024;
        /// Bytes of the tree's page cache. Modest: a simulation runs several store nodes in one process,
        /// and what the owners need most (heads, members) they cache themselves
        cache_bytes: usize = 32 * 1024 * 1024, 64 * 1024;
        /// Conversations that a partition keeps in memory between two batches
        cached_conversations: usize = 16_384, 1;
        /// Requests, cursors and attachments that wait in front of an owner, each; beyond it callers
        /// are told to come back, and cursors are dropped
        backlog: usize = 16_384, 16;
        /// Attachments that an owner answers between two commits, and those in one call: a storm of
        /// them does not hold up the messages
        attach_batch: usize = 1_024, 16;
        /// Users in one question for conversations
        lookup_users: usize = 500, 4;
        /// Bytes of entries in the answer to one call for attachments
        answer_bytes: usize = super::MAX_LINK_FRAME_BYTES / 4, 1_024;
        /// Conversations in one page of an export: what is read at once, and held up by, other reads
        export_conversations: usize = 256, 3;
        /// About the bytes of one page of an export, a longer entry excepted
        export_bytes: usize = 256 * 1024, 1_024;
        /// Members that a newly attached watcher is told are online
        presence_notices: usize = 64, 2;
        /// Presence and typing notices that wait to be published; beyond it they are dropped
        notices: usize = 16_384, 8;
        /// Bytes waiting for one gateway, where fan-out goes over links, before its queue overflows (the
        /// gateway then repairs from the store)
        gateway_queue_bytes: usize = 64 * 1024 * 1024, 32 * 1024;
        /// Users who have just gone and may be back, by conversation; beyond it the oldest counts as away
        absences: usize = 1_048_576, 1_024;
        /// The newest messages of one conversation that somebody is pushed after a session that had been
        /// dead
        missed_messages: u64 = 200, 200;
    }
);

limits!(
    /// Of a notifier.
    NotifierLimits {
        /// Pushes under way, shared out equally among the queues, at least one each
        pushes: usize = 64, 32;
        /// Notifications of one queue that may wait for their owner's word without holding up the others
        waiting: u32 = 1_024, 512;
        /// Notifications in one question to the owners
        question: usize = 256, 64;
        /// Taken pushes that are remembered, so that one that comes twice is made once
        taken: usize = 65_536, 1_024;
        /// Failures in a row after which the push provider is given a rest
        failures_to_rest: u32 = 5, 2;
    }
);

limits!(
    /// Of the auth service.
    AuthLimits {
        /// Bytes of a journal that is not compacted yet
        journal_bytes: u64 = 1024 * 1024, 1_024;
        /// Beyond that, it is compacted when it is so many times as long as its snapshot
        journal_factor: u64 = 4, 2;
        /// Commits that share one forced write
        group_commit: usize = 1_024, 2;
        /// Logins with a refresh token that one user may have; the oldest gives way
        logins_per_user: usize = 8, 1;
        /// Passwords and refresh tokens that grant something, per minute and user
        grants_per_minute: u32 = 60, 600;
        /// As many of them may come at once
        grants_burst: u32 = 30, 30;
        /// Wrong passwords per minute and user; beyond it the right one is refused, too
        failed_logins_per_minute: u32 = 6, 60;
        /// As many of them may come at once
        failed_logins_burst: u32 = 10, 3;
        /// Users whose logins are counted
        users: usize = 65_536, 64;
        /// Revocations in one answer to a verifier
        revocations_page: usize = 1_000, 1;
    }
);

/// All configurable limits of a cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Of gateways.
    pub gateway: GatewayLimits,
    /// Of the broker.
    pub broker: BrokerLimits,
    /// Of store nodes.
    pub store: StoreLimits,
    /// Of notifiers.
    pub notifier: NotifierLimits,
    /// Of the auth service.
    pub auth: AuthLimits,
}

impl Limits {
    /// So small that each is reached by a small cluster in half a minute. What bounds a rate (windows,
    /// pages, prefetch) still lets 60 messages a second pass at a round trip of 160 ms.
    pub const fn tiny() -> Self {
        Self {
            gateway: GatewayLimits::tiny(),
            broker: BrokerLimits::tiny(),
            store: StoreLimits::tiny(),
            notifier: NotifierLimits::tiny(),
            auth: AuthLimits::tiny(),
        }
    }

    /// All of them, as a table.
    pub fn table() -> Vec<Row> {
        let rows = GatewayLimits::rows("gateway");
        let rows = rows.chain(BrokerLimits::rows("broker")).chain(StoreLimits::rows("store"));
        rows.chain(NotifierLimits::rows("notifier")).chain(AuthLimits::rows("auth")).collect()
    }
}

/// The sets that have a name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitSet {
    /// For real work.
    #[default]
    Default,
    /// For tests: each is reached.
    Tiny,
}

impl LimitSet {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Default, Self::Tiny];

    /// Its name.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Tiny => "tiny",
        }
    }

    /// The limits of this name.
    pub fn limits(self) -> Limits {
        match self {
            Self::Default => Limits::default(),
            Self::Tiny => Limits::tiny(),
        }
    }
}

impl FromStr for LimitSet {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let words = Self::ALL.map(Self::word).join(" or ");
        let known = Self::ALL.into_iter().find(|set| set.word() == word);
        known.ok_or_else(|| format!("expected {words}"))
    }
}
