//! One event of a history, as it stands in memory and, by serde, in `history.jsonl`.
//!
//! Most is from the users' side of the sockets. What stands behind it is from elsewhere: what nodes tell
//! of themselves, what the store has in the end, which faults and phases there were.
//! Users, devices and conversations are the cluster's own ids; in a scenario they are dense from 1,
//! so that checks can use arrays.

pub use super::header::{Agent, Deadlines, Engine, FORMAT, Header};
pub use super::machine::{GENERATOR, MACHINE, Shed, Usage};
pub use super::outcome::Outcome;
pub use super::request::Request;
use protocol::{
    ClientMessageId, ConversationId, DeviceId, Epoch, GatewayId, Incarnation, NodeNumber,
    Partition, RejectReason, Sequence, SessionId, UserId,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Whether there is none; by reference, as serde wants it.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
const fn is_zero(key: &u64) -> bool {
    *key == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// What is taken if a history of format 1 does not say.
const fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
const fn is_true(flag: &bool) -> bool {
    *flag
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Microseconds since the run began; never falls from one event to the next.
    pub at: u64,
    /// What happened.
    pub is: What,
}

/// A device of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Device {
    /// The user.
    pub user: UserId,
    /// The device.
    pub device: DeviceId,
}

/// Content as the judge sees it: hashes instead of texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    /// A message.
    Message {
        /// 64-bit hash of the text.
        hash: u64,
        /// The message that it answers.
        parent: Option<Sequence>,
    },
    /// A new text.
    Edit {
        /// The message.
        target: Sequence,
        /// 64-bit hash of the new text.
        hash: u64,
    },
    /// A withdrawal.
    Delete {
        /// The message.
        target: Sequence,
    },
    /// A member came.
    Join {
        /// Who.
        user: UserId,
    },
    /// A member left.
    Leave {
        /// Who.
        user: UserId,
    },
}

/// An entry as somebody saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The conversation.
    pub conversation: ConversationId,
    /// Its position.
    pub sequence: Sequence,
    /// The epoch of the owner that sequenced it.
    pub epoch: Epoch,
    /// The store node that sequenced it.
    pub owner: NodeNumber,
    /// Who caused it.
    pub author: UserId,
    /// The author's id for it (the counter of the definitions).
    pub message: ClientMessageId,
    /// What it says.
    pub said: Said,
}

/// What happened. Field names speak for themselves; the variants say what each event means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the fields of an event are the words of the glossary")]
pub enum What {
    /// A phase of the run begins.
    Phase(Phase),
    /// A session was welcomed.
    Opened { device: Device, gateway: GatewayId, incarnation: Incarnation, session: SessionId },
    /// A session ended: a close code, or 0 for a lost connection.
    Closed { device: Device, code: u16 },
    /// A connection attempt failed.
    ConnectFailed { device: Device },
    /// The stream of a conversation begins on a device, behind `from`.
    Attached { device: Device, conversation: ConversationId, from: Sequence, head: Sequence },
    /// The stream of a conversation ends on a device.
    Detached { device: Device, conversation: ConversationId },
    /// A send, edit or deletion was invoked (first time). `intended` is when the open-loop schedule
    /// wanted it, in the clock of `at`.
    Sent {
        device: Device,
        conversation: ConversationId,
        message: ClientMessageId,
        said: Said,
        intended: u64,
    },
    /// The same again, after a reconnect or a retryable rejection.
    Resent { device: Device, conversation: ConversationId, message: ClientMessageId },
    /// It is durable, says the cluster.
    Accepted {
        device: Device,
        conversation: ConversationId,
        message: ClientMessageId,
        sequence: Sequence,
        epoch: Epoch,
        owner: NodeNumber,
    },
    /// It was refused.
    Rejected {
        device: Device,
        conversation: ConversationId,
        message: ClientMessageId,
        reason: RejectReason,
    },
    /// The run ended before an answer: indefinite.
    Unanswered { device: Device, conversation: ConversationId, message: ClientMessageId },
    /// A device showed an entry.
    Shown { device: Device, entry: Seen },
    /// An entry arrived in the stream, and the device, which had got beyond its sequence, did not show
    /// it (again).
    Received { device: Device, entry: Seen },
    /// A device asked for stored entries behind `after`.
    ReadBegan { device: Device, request: u32, conversation: ConversationId, after: Sequence },
    /// One entry of the answer.
    Read { device: Device, request: u32, entry: Seen },
    /// The answer is complete; `head` as the cluster said. `whole`: the page limit cut nothing off, so
    /// every entry behind `after` up to `head` that the user may read is in the answer.
    ReadEnded {
        device: Device,
        request: u32,
        conversation: ConversationId,
        head: Sequence,
        whole: bool,
    },
    /// The answer to a read was an error.
    ReadFailed { device: Device, request: u32, conversation: ConversationId },
    /// A device reported its cursors.
    ReceiptSent {
        device: Device,
        conversation: ConversationId,
        delivered: Sequence,
        read: Sequence,
    },
    /// A device displays another member's cursors from now on. What arrives and is lower is not displayed.
    ReceiptSeen {
        device: Device,
        conversation: ConversationId,
        user: UserId,
        delivered: Sequence,
        read: Sequence,
    },
    /// Somebody asked to add or remove a member.
    MemberAsked { conversation: ConversationId, user: UserId, add: bool },
    /// It was done, in the entry of this sequence.
    MemberChanged { conversation: ConversationId, user: UserId, add: bool, sequence: Sequence },
    /// A user takes up a device that was put away (a goodbye before): it wants a session from now on.
    Back { device: Device },
    /// A user of the REST interface has an answer to a request, all of it, or has given up waiting
    /// (`status` 0), so long after the request began.
    Requested { user: UserId, request: Request, status: u16, took_us: u64 },
    /// A stranger has attacked a gateway: with which attack, how that must be answered (`due`: a close code,
    /// or an HTTP status), what came of it, and how long that took.
    Attacked { attack: Arc<str>, due: u16, outcome: Outcome, took_us: u64 },
    /// A user's tokens were revoked, says the auth service.
    Revoked { user: UserId },
    /// The user got a new token after a revocation: it may send again.
    Granted { user: UserId },
    /// A dead letter was put back into its queue by hand: it may appear now.
    Requeued { author: UserId, message: ClientMessageId },
    /// At the end: the final read of a conversation begins. Only what was accepted before can be
    /// missing in it.
    StoredBegan { conversation: ConversationId },
    /// At the end: one stored entry, read with a service token.
    Stored { entry: Seen },
    /// At the end: all of a conversation was read (`whole`), or the store did not answer. Whole with
    /// the head 0: it was made, and the store has nothing of it any more.
    StoredAll { conversation: ConversationId, first: Sequence, head: Sequence, whole: bool },
    /// At the end: a member's stored cursors.
    StoredCursor { conversation: ConversationId, user: UserId, delivered: Sequence, read: Sequence },
    /// At the end: these were all stored cursors of the conversation.
    StoredCursorsAll { conversation: ConversationId },
    /// At the end: a dead letter. `author` and `message` as far as the record could be read.
    DeadLetter {
        queue: Arc<str>,
        reason: Arc<str>,
        author: Option<UserId>,
        message: Option<ClientMessageId>,
        conversation: Option<ConversationId>,
    },
    /// The push provider was handed a notification, and took it (`taken`) or asked for another try.
    /// `key` is the hash of its idempotency key; 0: the history does not say.
    Pushed {
        user: UserId,
        conversation: ConversationId,
        sequence: Sequence,
        #[serde(default, skip_serializing_if = "is_zero")]
        key: u64,
        #[serde(default = "yes", skip_serializing_if = "is_true")]
        taken: bool,
    },
    /// At the end: messages still in the durable queues.
    InFlight { queue: Arc<str>, messages: u64 },
    /// A node's level and its limit.
    Gauge { node: Arc<str>, name: Arc<str>, value: u64, limit: u64 },
    /// A store node says that it owns a partition.
    Owner { partition: Partition, owner: NodeNumber, epoch: Epoch },
    /// A fault begins; `drawn`: by lot (`[random_faults]`), not by the scenario's schedule.
    FaultBegan {
        fault: u32,
        kind: Arc<str>,
        target: Arc<str>,
        #[serde(default, skip_serializing_if = "is_false")]
        drawn: bool,
        /// For machines; older histories lack it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        injected: Option<Arc<Injected>>,
    },
    /// A fault ended; `effect` counts what it did (packets held or dropped, writes lost, ...).
    FaultEnded { fault: u32, effect: u64 },
    /// A process of the cluster starts, and the observer would notice its panic.
    NodeStarted { node: Arc<str> },
    /// A process of the cluster panicked: with which words, and where in its source.
    NodePanicked { node: Arc<str>, message: Arc<str>, place: Arc<str> },
    /// A process of the cluster ended that nobody had ended, and said why: it refused to go on.
    NodeEnded { node: Arc<str>, why: Arc<str> },
    /// What a process of a real run uses of its machine now.
    Usage(Usage),
    /// A node gave up so many more of these, because a bound that its documentation names was reached.
    Shed { node: Arc<str>, what: Shed, count: u64 },
    /// The load generator met a limit of its own (`EMFILE`, `lateness`) so many times: what is late or
    /// missing from now on may be its fault and not the cluster's.
    GeneratorLimited { limit: Arc<str>, times: u64 },
    /// The run ends before its time: from here on the users see nothing more.
    Stopped { why: Arc<str> },
}

/// What a fault is made of: enough to inject it again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Injected {
    /// When it began, counted from the beginning of the load.
    pub at_us: u64,
    /// How long it lasts, unless the load ends before.
    pub for_us: u64,
    /// The nodes that it hits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<Arc<str>>,
    /// The links that it hits, each from one node to another.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<(Arc<str>, Arc<str>)>,
    /// The numbers of its kind: `one_way`, `down_us`, `up_us`, `latency_min_us`, `latency_max_us`,
    /// `offset_ms`, `drift_ppm`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<Arc<str>, i64>,
}

/// The phases of a run, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Conversations are made.
    SetUp,
    /// Users connect; no faults yet.
    WarmUp,
    /// Load under faults.
    Load,
    /// All faults have ended (H of the definitions).
    Heal,
    /// No new load; what is under way arrives.
    Settle,
    /// The final reads.
    Judge,
    /// The last event.
    End,
}

impl Phase {
    /// For people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::SetUp => "set up",
            Self::WarmUp => "warm up",
            Self::Load => "load",
            Self::Heal => "heal",
            Self::Settle => "settle",
            Self::Judge => "judge",
            Self::End => "end",
        }
    }
}
