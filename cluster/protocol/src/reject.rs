//! Why a send, edit or deletion was not accepted.

use serde::{Deserialize, Serialize};

/// The reason of a `rejected` frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectReason {
    /// The sender is not a member of the conversation (or there is none: the two look alike to
    /// somebody outside).
    NotMember,
    /// The body is empty or longer than `limits::MAX_BODY_BYTES`.
    BodySize,
    /// The client message id is zero or above 2^53 - 1.
    BadMessageId,
    /// `target` or `reply_to` names no message of this conversation, or `target` a deleted one.
    NoSuchMessage,
    /// Only the author may edit or delete a message.
    NotAuthor,
    /// Too many frames per second; send again after `retry_after_ms`.
    RateLimited,
    /// The cluster cannot take the message now and has not stored it; send the same id again.
    Unavailable,
    /// The owner could not process the message, repeatedly; it is in the dead-letter queue.
    DeadLettered,
    /// The token was revoked or ran out.
    Unauthorised,
}

impl RejectReason {
    /// Every reason.
    const ALL: [Self; 9] = [
        Self::NotMember,
        Self::BodySize,
        Self::BadMessageId,
        Self::NoSuchMessage,
        Self::NotAuthor,
        Self::RateLimited,
        Self::Unavailable,
        Self::DeadLettered,
        Self::Unauthorised,
    ];

    /// The number under which engines store it: from 1, and never another one.
    pub const fn number(self) -> u8 {
        match self {
            Self::NotMember => 1,
            Self::BodySize => 2,
            Self::BadMessageId => 3,
            Self::NoSuchMessage => 4,
            Self::NotAuthor => 5,
            Self::RateLimited => 6,
            Self::Unavailable => 7,
            Self::DeadLettered => 8,
            Self::Unauthorised => 9,
        }
    }

    /// The same back; 0 is none.
    pub fn numbered(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.number() == number)
    }

    /// Whether sending the same id again cannot help.
    ///
    /// `Unauthorised` ends the session: the same comes again in the next one, with a new token. Any other
    /// reason that is not final holds a session's conversation: the gateway refuses every higher
    /// id of the same session and conversation, with the same reason, until the refused one comes
    /// again or until twice the idle timeout of sessions has passed (what was sent before the client
    /// learned of the refusal has arrived by then, or the connection is gone). Otherwise a pipelining sender's messages would be sequenced out of its order.
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::RateLimited | Self::Unavailable | Self::Unauthorised)
    }
}
