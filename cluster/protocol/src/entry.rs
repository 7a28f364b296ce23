//! What a conversation is made of: a gapless, ordered log of entries.
//!
//! Messages, edits, deletions, joins and departures all take a sequence in the same log. So edits
//! converge (everyone applies them in the same order), membership has exact intervals, and one
//! resume cursor covers everything that a device must learn.

use crate::ids::{ClientMessageId, ConversationId, Epoch, NodeNumber, Sequence, UserId};
use serde::{Deserialize, Serialize};

/// One position of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The conversation.
    pub conversation: ConversationId,
    /// The position, gapless from 1.
    pub sequence: Sequence,
    /// The epoch of the owner that sequenced it.
    pub epoch: Epoch,
    /// The store node that sequenced it.
    pub owner: NodeNumber,
    /// Who caused it.
    pub author: UserId,
    /// The author's id for it; zero for entries that were made through REST.
    pub client_message_id: ClientMessageId,
    /// The owner's wall clock when it was sequenced, milliseconds since the Unix epoch. For people:
    /// order comes from the sequence alone.
    pub at_ms: u64,
    /// What happened.
    pub content: Content,
}

/// What an entry says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// A message.
    Message {
        /// The text, at most `limits::MAX_BODY_BYTES` bytes of UTF-8.
        body: String,
        /// The message that this one answers.
        reply_to: Option<Sequence>,
    },
    /// A new body for an earlier message.
    Edit {
        /// The sequence of the message.
        target: Sequence,
        /// Its new text.
        body: String,
    },
    /// An earlier message is withdrawn.
    Delete {
        /// The sequence of the message.
        target: Sequence,
    },
    /// A user is a member from this sequence on (this entry included).
    Join {
        /// The new member.
        user: UserId,
    },
    /// A user is no longer a member from this sequence on (this entry excluded).
    Leave {
        /// The former member.
        user: UserId,
    },
}

impl Content {
    /// The text that it carries.
    pub fn body(&self) -> &str {
        match self {
            Self::Message { body, .. } | Self::Edit { body, .. } => body,
            Self::Delete { .. } | Self::Join { .. } | Self::Leave { .. } => "",
        }
    }

    /// Bytes of text that it carries.
    pub fn body_bytes(&self) -> usize {
        self.body().len()
    }
}
