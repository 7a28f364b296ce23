//! What a partition is told, and what follows from it.
//!
//! The commands of a partition form one ordered log. Whoever applies the same log to the same rows
//! gets the same rows and the same effects, so the log can be replicated.

use ports::conversations::Refusal;
use protocol::frames::server::{Accepted, Receipts, Rejected};
use protocol::records::{Inbound, SessionRef};
use protocol::store_calls::{ChangeMember, CreateConversation, CreatedConversation, ReceiptItem};
use protocol::{ConversationId, Entry, Epoch, NodeNumber, Sequence, UserId};
use std::sync::Arc;

/// One step of a partition's log. `at_ms` is the owner's wall clock when the command was put in line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// What follows is sequenced by this owner under this epoch.
    Acquire {
        /// The fencing number.
        epoch: Epoch,
        /// The store node.
        owner: NodeNumber,
    },
    /// A send, edit or deletion. One that cannot be processed is decided all the same.
    Sequence {
        /// What a gateway asked for.
        inbound: Inbound,
        /// For `Entry::at_ms`.
        at_ms: u64,
        /// The same may have been stored before without its effects having been published.
        replay: bool,
    },
    /// New conversations, one after another.
    Create {
        /// What was asked.
        requests: Vec<CreateConversation>,
        /// For `Entry::at_ms`.
        at_ms: u64,
    },
    /// A member comes or goes.
    ChangeMember {
        /// What was asked.
        request: ChangeMember,
        /// For `Entry::at_ms`.
        at_ms: u64,
    },
    /// A member's cursors.
    Receipt(ReceiptItem),
    /// Only the newest entries are kept.
    Retain {
        /// Of which conversation.
        conversation: ConversationId,
        /// How many.
        keep: u64,
        /// Of the others so many go at most, the oldest.
        most: u64,
    },
}

/// What the world must learn of an applied command, once its rows are durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A new entry (or an old one again).
    Entry {
        /// The entry.
        entry: Arc<Entry>,
        /// The members after it; of an old one, those who have been members ever since.
        members: Arc<[UserId]>,
    },
    /// For the session that asked.
    Accepted(SessionRef, Accepted),
    /// For the session that asked.
    Rejected(SessionRef, Rejected),
    /// For the other members; and how many members there are.
    Receipts(Receipts, u32),
}

/// What the caller of a command is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing.
    Done,
    /// The message cannot be processed, and its sender was told so: for this reason.
    DeadLettered(String),
    /// The conversations as they stand, or why not, in the order of the requests.
    Created(Vec<Result<CreatedConversation, Refusal>>),
    /// The sequence of the `Join` or `Leave` entry.
    Changed(Sequence),
    /// It was not done.
    Refused(Refusal),
}
