//! What travels through the broker: records between gateways, owners and notifiers.
//!
//! All of them are postcard; the broker sees bytes only.

use crate::entry::Entry;
use crate::frames::server::{Accepted, Presence, Receipts, Rejected, TypingNotice};
use crate::ids::{
    ClientMessageId, ConversationId, GatewayId, Incarnation, Sequence, SessionId, UserId,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// A session, as an owner names it when it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SessionRef {
    /// The gateway.
    pub gateway: GatewayId,
    /// Its life: an answer to an earlier life goes nowhere.
    pub incarnation: Incarnation,
    /// The session on it.
    pub session: SessionId,
}

/// In `Inbound(partition)`: a gateway asks the owner to sequence something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inbound {
    /// Who asks, and who is told.
    pub from: SessionRef,
    /// The authenticated user.
    pub author: UserId,
    /// The conversation.
    pub conversation: ConversationId,
    /// The author's id for it.
    pub client_message_id: ClientMessageId,
    /// What is asked.
    pub action: Action,
}

/// What an owner is asked to sequence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// A message.
    Send {
        /// The text.
        body: String,
        /// The message that it answers.
        reply_to: Option<Sequence>,
        /// The body's format; the owner knows format 1.
        format: u16,
    },
    /// A new body.
    Edit {
        /// The message.
        target: Sequence,
        /// Its new text.
        body: String,
    },
    /// A withdrawal.
    Delete {
        /// The message.
        target: Sequence,
    },
}

/// In `Gateway(id, incarnation)`: an owner tells a gateway something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToGateway {
    /// The next entry of an attached conversation.
    Entry(Entry),
    /// For one session.
    Accepted(SessionId, Accepted),
    /// For one session.
    Rejected(SessionId, Rejected),
    /// For the other members.
    Receipts(Receipts),
    /// For the other members that want it.
    Typing(TypingNotice),
    /// For the other members that want it.
    Presence(Presence),
}

/// In `Notify(n)`: a member without a session has a new message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushJob {
    /// Who is to be told.
    pub user: UserId,
    /// The conversation.
    pub conversation: ConversationId,
    /// The message.
    pub sequence: Sequence,
    /// Its author.
    pub author: UserId,
    /// The beginning of its text.
    pub preview: String,
    /// The owner's wall clock when it was sequenced.
    pub at_ms: u64,
}

/// The bytes of a record.
pub fn encode<T: Serialize>(record: &T) -> bytes::Bytes {
    postcard::to_stdvec(record).expect("records have known lengths").into()
}

/// The record of some bytes.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, postcard::Error> {
    postcard::from_bytes(bytes)
}
