//! What a client says.

use crate::ids::{ClientMessageId, ConversationId, DeviceId, Sequence};
use crate::secret::{Secret, exposed};
use serde::{Deserialize, Deserializer, Serialize};

/// One frame from a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientFrame {
    /// The first frame of a session, and only the first.
    Hello(Hello),
    /// A new message.
    Send(Send),
    /// A new body for an own message.
    Edit(Edit),
    /// An own message is withdrawn.
    Delete(Delete),
    /// How far this device has got in a conversation.
    Receipt(Receipt),
    /// The user is typing.
    Typing(Typing),
    /// Asks for stored entries.
    Backlog(Backlog),
    /// Answered by `pong` with the same nonce.
    Ping(Nonce),
    /// The answer to a `ping`.
    Pong(Nonce),
    /// The session goes on with another token of its user.
    Renew(Renew),
    /// More cursors, behind `hello`.
    Cursors(Cursors),
}

/// Opens a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// An OAuth 2.0 access token.
    #[serde(with = "exposed")]
    pub token: Secret,
    /// Which of the user's devices this is.
    pub device: DeviceId,
    /// What this device has shown already; the stream goes on behind each cursor.
    #[serde(default)]
    pub cursors: Vec<Cursor>,
    /// Whether this session wants `presence` and `typing` frames.
    #[serde(default)]
    pub presence: bool,
    /// Whether `cursors` follow: the session begins behind the last of them.
    #[serde(default, deserialize_with = "unless_missing")]
    pub more: bool,
}

/// More cursors of this device than fit into `hello`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursors {
    /// As in `hello`.
    pub cursors: Vec<Cursor>,
    /// Whether still more follow.
    #[serde(default)]
    pub more: bool,
}

/// A field that came later: binary frames of earlier clients end before it.
fn unless_missing<'de, D: Deserializer<'de>>(input: D) -> Result<bool, D::Error> {
    let is_text = input.is_human_readable();
    let read = bool::deserialize(input);
    if is_text { read } else { Ok(read.unwrap_or_default()) }
}

/// The session goes on with another token. Answered by `renewed`, or by `error`; then the earlier token
/// still counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renew {
    /// An OAuth 2.0 access token of the same user.
    #[serde(with = "exposed")]
    pub token: Secret,
}

/// The highest contiguous sequence that a device has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The conversation.
    pub conversation: ConversationId,
    /// The sequence.
    pub sequence: Sequence,
}

/// A new message. Sent again, unchanged, until it is accepted or finally rejected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Send {
    /// Where to.
    pub conversation: ConversationId,
    /// The client's id; 1 to 2^53 - 1, never used twice by the same user.
    pub client_message_id: ClientMessageId,
    /// The text.
    pub body: String,
    /// The message that this one answers.
    #[serde(default)]
    pub reply_to: Option<Sequence>,
    /// The format of the body. Gateways pass every format on; an owner that does not know it cannot
    /// process the message. This version knows format 1, plain text.
    #[serde(default = "plain_text")]
    pub format: u16,
}

/// Format 1.
pub const fn plain_text() -> u16 {
    1
}

/// A new body for an own message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// The conversation.
    pub conversation: ConversationId,
    /// The client's id of this edit (not of the message).
    pub client_message_id: ClientMessageId,
    /// The sequence of the message.
    pub target: Sequence,
    /// The new text.
    pub body: String,
}

/// An own message is withdrawn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delete {
    /// The conversation.
    pub conversation: ConversationId,
    /// The client's id of this deletion (not of the message).
    pub client_message_id: ClientMessageId,
    /// The sequence of the message.
    pub target: Sequence,
}

/// Cumulative: everything up to these sequences.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The conversation.
    pub conversation: ConversationId,
    /// Shown on this device.
    pub delivered: Sequence,
    /// Read by the user; at most `delivered`.
    pub read: Sequence,
}

/// The user is typing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Typing {
    /// The conversation.
    pub conversation: ConversationId,
}

/// Asks for stored entries behind `after`, oldest first; answered by `page`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backlog {
    /// Comes back in the page.
    pub request: u32,
    /// The conversation.
    pub conversation: ConversationId,
    /// Entries after this sequence.
    pub after: Sequence,
    /// At most this many, from 1 to `limits::MAX_PAGE`.
    pub limit: u32,
}

/// A number that comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nonce {
    /// Any number.
    pub nonce: u64,
}
