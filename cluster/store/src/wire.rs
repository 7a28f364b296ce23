//! What travels over the link between a gateway (or a service) and a store node.

use bytes::Bytes;
use ports::CallError;
use ports::broker::GatewayLife;
use ports::conversations::Refusal;
use ports::directory::Owner;
use protocol::store_calls::{
    AttachItem, AttachedItem, ChangeMember, ConversationInfo, CreateConversation,
    CreatedConversation, DetachItem, ExportPage, ExportPlace, Head, PartitionStatus, PushAdvice,
    PushRef, RangePage, RangeQuery, ReceiptItem, UserConversation,
};
use protocol::{ConversationId, GatewayId, Incarnation, NodeNumber, Partition, Sequence, UserId};
use serde::{Deserialize, Serialize};

/// The version of these messages.
pub const VERSION: u16 = 5;

/// To a store node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ToStore {
    /// The first message of a gateway; services do not announce themselves.
    Announce(GatewayId, Incarnation),
    /// Answered by `FromStore::Answer` with the same number.
    Call(u64, Call),
    /// Without an answer.
    Detach(Vec<DetachItem>),
    /// Without an answer.
    Receipts(Vec<ReceiptItem>),
    /// Without an answer.
    Typing(ConversationId, UserId),
    /// The consumer has taken records; the answer to the receipt that was asked for with them.
    Taken(u64),
}

impl link::Wire for ToStore {
    const LINK: &'static str = "store";
    const VERSION: u16 = VERSION;
}

/// A question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Call {
    /// Answered by `Answer::OfUsers`.
    OfUsers(Vec<UserId>),
    /// Answered by `Answer::Attached`.
    Attach(Vec<AttachItem>),
    /// Answered by `Answer::Page`.
    Range(RangeQuery),
    /// Answered by `Answer::Info`.
    Info(ConversationId, Option<UserId>),
    /// Conversations of one partition. Answered by `Answer::Created`.
    Create(Vec<CreateConversation>),
    /// Answered by `Answer::Changed`.
    ChangeMember(ChangeMember),
    /// Answered by `Answer::Pushes`.
    Pushes(Vec<PushRef>),
    /// Answered by `Answer::Cursors`.
    Cursors(ConversationId, Option<UserId>),
    /// Answered by `Answer::Exported`.
    Export(Partition, ExportPlace),
    /// Answered by `Answer::Status`.
    Status,
    /// The records for a gateway's life come by this link from now on, and by no earlier one; so many may
    /// be under way. Answered by `Answer::Consuming`.
    Consume(GatewayLife, u32),
}

/// From a store node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FromStore {
    /// The first message: this node answers, and has acquired its partitions.
    Welcome(NodeNumber),
    /// The answer to a call.
    Answer(u64, Answer),
    /// These became members; to every announced gateway.
    Joined(Vec<UserConversation>),
    /// How far the logs go that have new entries and are attached on this link.
    Heads(Vec<Head>),
    /// Who owns partitions: behind the welcome those of this node, later what changes. Whoever listened
    /// to such a partition elsewhere attaches again.
    Owners(Vec<(Partition, Owner)>),
    /// Records for the gateway's life, in their order; some may be missing. If a receipt is asked for, it
    /// is `ToStore::Taken` with this number.
    Records(Vec<Bytes>, Option<u64>),
    /// Another link has become the consumer of this gateway's records.
    ConsumerLost,
}

impl link::Wire for FromStore {
    const LINK: &'static str = "store";
    const VERSION: u16 = VERSION;
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    /// Of the conversations in these partitions, which are this node's.
    OfUsers(Vec<Partition>, Vec<UserConversation>),
    /// In the order of the items.
    Attached(Vec<AttachedItem>),
    /// Stored entries.
    Page(RangePage),
    /// A conversation.
    Info(ConversationInfo),
    /// In the order of the requests.
    Created(Vec<Result<CreatedConversation, Refusal>>),
    /// The sequence of the `Join` or `Leave` entry.
    Changed(Sequence),
    /// In the order of the items.
    Pushes(Vec<PushAdvice>),
    /// The members' cursors.
    Cursors(Vec<ReceiptItem>),
    /// A page of a partition.
    Exported(ExportPage),
    /// This node's partitions.
    Status(Vec<PartitionStatus>),
    /// It was not done.
    Failed(CallError),
    /// It was not done: partitions that it touches are not this node's, but theirs, as far as known.
    NotOwner(Vec<(Partition, Option<Owner>)>),
    /// What is published from now on is in line.
    Consuming,
}

#[cfg(test)]
mod tests;
