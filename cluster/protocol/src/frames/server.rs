//! What a server says.

use super::client::Nonce;
use crate::entry::Entry;
use crate::ids::{
    ClientMessageId, ConversationId, DeviceId, Epoch, GatewayId, Incarnation, NodeNumber, Sequence,
    SessionId, UserId,
};
use crate::reject::RejectReason;
use serde::{Deserialize, Serialize};

/// One frame from a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerFrame {
    /// The answer to a good `hello`.
    Welcome(Welcome),
    /// The stream of a conversation begins, behind `from`.
    Attached(Attached),
    /// The stream of a conversation ends: the user is no longer a member.
    Detached(Detached),
    /// A send, edit or deletion is durable and has its sequence.
    Accepted(Accepted),
    /// A send, edit or deletion was not stored.
    Rejected(Rejected),
    /// The next entry of a conversation.
    Entry(Entry),
    /// How far another member has got.
    Receipts(Receipts),
    /// Another member is typing.
    Typing(TypingNotice),
    /// Another member came or went.
    Presence(Presence),
    /// The answer to `backlog`.
    Page(Page),
    /// The gateway will close soon: reconnect after the given time.
    Drain(Drain),
    /// The session was too slow and will be closed: reconnect and resume from the cursors.
    Resync(Resync),
    /// A frame was not understood or not allowed; the session goes on.
    Error(ErrorNotice),
    /// Answered by `pong` with the same nonce.
    Ping(Nonce),
    /// The answer to a `ping`.
    Pong(Nonce),
    /// The answer to a good `renew`.
    Renewed(Renewed),
}

/// The session is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The session.
    pub session: SessionId,
    /// Whose it is, by the token.
    pub user: UserId,
    /// The device that was named in `hello`.
    pub device: DeviceId,
    /// The gateway.
    pub gateway: GatewayId,
    /// This life of the gateway.
    pub incarnation: Incarnation,
    /// How often either side pings in silence; 0: never.
    pub heartbeat_ms: u32,
    /// Silence after which either side gives up; 0: never.
    pub idle_timeout_ms: u32,
    /// How many conversations will be attached; `attached` follows for each.
    pub conversations: u32,
}

/// The session goes on with another token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewed {
    /// In how many milliseconds it runs out, by the gateway's clock.
    pub expires_in_ms: u64,
}

/// The stream of a conversation begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attached {
    /// The conversation.
    pub conversation: ConversationId,
    /// The first entry of the stream is the one behind this sequence.
    pub from: Sequence,
    /// The newest stored sequence at this moment.
    pub head: Sequence,
}

/// The stream of a conversation ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detached {
    /// The conversation.
    pub conversation: ConversationId,
}

/// A send, edit or deletion is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// The client's id.
    pub client_message_id: ClientMessageId,
    /// The conversation.
    pub conversation: ConversationId,
    /// Its sequence: the same on every retry.
    pub sequence: Sequence,
    /// The epoch of the owner that sequenced it.
    pub epoch: Epoch,
    /// The store node that sequenced it.
    pub owner: NodeNumber,
}

/// A send, edit or deletion was not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    /// The client's id.
    pub client_message_id: ClientMessageId,
    /// The conversation.
    pub conversation: ConversationId,
    /// Why.
    pub reason: RejectReason,
    /// When to try again; 0: no use.
    pub retry_after_ms: u32,
}

/// How far a member has got. Only rises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipts {
    /// The conversation.
    pub conversation: ConversationId,
    /// The member.
    pub user: UserId,
    /// Shown on one of the member's devices.
    pub delivered: Sequence,
    /// Read by the member.
    pub read: Sequence,
}

/// A member is typing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypingNotice {
    /// The conversation.
    pub conversation: ConversationId,
    /// The member.
    pub user: UserId,
}

/// A member came or went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// The conversation.
    pub conversation: ConversationId,
    /// The member.
    pub user: UserId,
    /// Whether the member has a session.
    pub online: bool,
}

/// Stored entries, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// The request's number.
    pub request: u32,
    /// The conversation.
    pub conversation: ConversationId,
    /// The entries.
    pub entries: Vec<Entry>,
    /// The oldest sequence that is still stored.
    pub first: Sequence,
    /// The newest stored sequence.
    pub head: Sequence,
}

/// The gateway will close.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drain {
    /// Reconnect (to another gateway) after this long; spread by the server.
    pub reconnect_after_ms: u32,
}

/// The session was too slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resync {
    /// Frames that were waiting.
    pub waiting: u32,
}

/// A frame was refused; the session goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorNotice {
    /// Which kind of error.
    pub code: ErrorCode,
    /// For people: what was expected.
    pub detail: String,
}

/// Kinds of refusal that leave the session open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The frame's kind is not known to this version.
    UnknownFrame,
    /// The conversation is not attached to this session.
    NotAttached,
    /// A field is out of its range.
    BadValue,
    /// The cluster could not answer; ask again.
    Unavailable,
}
