//! What the hub asks of its surroundings. Each call but the last three is answered to the hub.

use bytes::Bytes;
use protocol::store_calls::{AttachItem, DetachItem, RangeQuery, ReceiptItem};
use protocol::{ClientMessageId, ConversationId, Partition, SessionId, UserId};

/// One call, to be carried out in the order in which the hub made them.
#[derive(Clone, Debug, PartialEq)]
pub enum Call {
    /// Publish; answered by `Hub::published`.
    Publish(PublishCall),
    /// Which conversations do these users have? Answered by `Hub::looked_up`.
    OfUsers(LookupCall),
    /// Attach; answered by `Hub::attached`.
    Attach(AttachCall),
    /// Read; answered by `Hub::ranged`.
    Range(RangeCall),
    /// Detach, without an answer.
    Detach(Vec<DetachItem>),
    /// Raise cursors, without an answer.
    Receipts(Vec<ReceiptItem>),
    /// Tell the other members, without an answer.
    Typing(ConversationId, UserId),
}

/// A publication and who waits for its confirm.
#[derive(Clone, Debug, PartialEq)]
pub struct PublishCall {
    /// Whose it is.
    pub of: PublishRef,
    /// Where it goes.
    pub partition: Partition,
    /// The record.
    pub message: Bytes,
}

/// Names a publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishRef {
    /// The sender's session.
    pub session: SessionId,
    /// The conversation.
    pub conversation: ConversationId,
    /// The sender's id.
    pub message: ClientMessageId,
}

/// Conversations of some users, for the sessions that said hello.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookupCall {
    /// Who waits.
    pub sessions: Vec<SessionId>,
    /// Their users, each once.
    pub users: Vec<UserId>,
}

/// A batch of attachments; no (conversation, user) pair comes twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachCall {
    /// Why, item by item.
    pub wishes: Vec<AttachWish>,
    /// Calls are numbered in the order in which they reach an owner.
    pub number: u64,
    /// How often something was lost before the call was made.
    pub losses: u64,
}

impl AttachCall {
    /// What is asked.
    pub fn items(&self) -> Vec<AttachItem> {
        self.wishes.iter().map(|wish| wish.item).collect()
    }
}

/// One attachment that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttachWish {
    /// What.
    pub item: AttachItem,
    /// For a session whose stream begins; `None`: a user's attachment is made again.
    pub session: Option<SessionId>,
}

/// A read and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangeCall {
    /// What is read.
    pub query: RangeQuery,
    /// Why.
    pub purpose: RangePurpose,
}

/// Why something is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangePurpose {
    /// A session is behind its conversation's stream.
    CatchUp(SessionId),
    /// A conversation's stream on this gateway has a gap. No two repairs have one number.
    Repair(u64),
    /// A client asked, under this number of ours.
    Backlog(SessionId, u64),
}
