//! What gateways (and services) ask the owners of conversations.
//!
//! The adapter behind it finds the owners, splits batches by partition and node, and merges the answers. Answers of one node are from one instant.

use crate::BoxFuture;
use protocol::store_calls::{
    AttachItem, AttachedItem, ChangeMember, ConversationInfo, CreateConversation,
    CreatedConversation, DetachItem, ExportPage, ExportPlace, Head, PartitionStatus, PushAdvice,
    PushRef, RangePage, RangeQuery, ReceiptItem, UserConversation,
};
use protocol::{ConversationId, GatewayId, Incarnation, NodeNumber, Partition, Sequence, UserId};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

/// Why a call was not answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum CallError {
    /// Certainly not done: the owner cannot be reached.
    #[error("the owner of the conversation cannot be reached")]
    Unavailable,
    /// Maybe done: no answer in time. All calls are idempotent: call again.
    #[error("no answer in time")]
    Unknown,
    /// Certainly not done, and calling again will not help.
    #[error("refused: {0}")]
    Refused(Refusal),
}

/// Why an owner refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// No conversation of this id (that the caller may know of).
    #[error("no such conversation")]
    NoSuchConversation,
    /// The caller is not a member.
    #[error("not a member")]
    NotMember,
    /// A conversation of this id exists with another kind or other first members.
    #[error("the conversation exists with other properties")]
    Conflict,
    /// Direct conversations have two members for ever; groups have limits.
    #[error("the membership of this conversation cannot change like that")]
    MembershipFixed,
}

/// What an owner tells a gateway unasked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StoreEvent {
    /// A user became a member; a gateway with a session of this user attaches the conversation,
    /// starting behind `joined - 1`.
    Joined(UserConversation),
    /// The heads of attached conversations that have new entries, about once a second. The entries
    /// come by fan-out, which may lose them: a gateway that stays behind a head reads them.
    Heads(Vec<Head>),
    /// The link to a store node was lost: its attachments are gone.
    Lost(NodeNumber),
    /// The node is back (maybe under higher epochs): attach its conversations again.
    Back(NodeNumber),
    /// Partitions have got other owners: attach their conversations again.
    Moved,
}

/// The owners of all conversations, behind one face. Calls have a deadline of their own.
pub trait Conversations: Send + Sync {
    /// Announces this gateway life to every owner, now and after every reconnect, and returns the
    /// stream of events. Call once, before `attach`.
    fn announce(
        &self,
        gateway: GatewayId,
        incarnation: Incarnation,
    ) -> mpsc::UnboundedReceiver<StoreEvent>;
    /// The conversations of some users; fails if any partition's owner cannot answer.
    fn of_users(
        &self,
        users: Vec<UserId>,
    ) -> BoxFuture<'static, Result<Vec<UserConversation>, CallError>>;
    /// Subscribes and reads the backlog, in one step per item. The result is in the order of the
    /// items; items of an unreachable owner are missing.
    fn attach(&self, items: Vec<AttachItem>) -> BoxFuture<'static, Vec<AttachedItem>>;
    /// Ends subscriptions, without an answer. Told twice, an owner does no more than once.
    fn detach(&self, items: Vec<DetachItem>);
    /// Whether pushes are due, as of now; those of an unreachable owner are missing in the answer.
    fn pushes(&self, pushes: Vec<PushRef>) -> BoxFuture<'static, Vec<(PushRef, PushAdvice)>>;
    /// Stored entries.
    fn range(&self, query: RangeQuery) -> BoxFuture<'static, Result<RangePage, CallError>>;
    /// A conversation's state; `user`: as a member sees it, `None`: a service.
    fn info(
        &self,
        conversation: ConversationId,
        user: Option<UserId>,
    ) -> BoxFuture<'static, Result<ConversationInfo, CallError>>;
    /// Makes conversations, each durable on its `Ok`. The result is in the order of the requests; one
    /// does not depend on another.
    fn create(
        &self,
        requests: Vec<CreateConversation>,
    ) -> BoxFuture<'static, Vec<Result<CreatedConversation, CallError>>>;
    /// Changes the membership, durable on `Ok`; the sequence of the `Join` or `Leave` entry (of the
    /// earlier one if there was nothing to change).
    fn change_member(
        &self,
        request: ChangeMember,
    ) -> BoxFuture<'static, Result<Sequence, CallError>>;
    /// Raises cursors, without an answer; lost ones are reported again by the client's next receipt.
    fn receipts(&self, items: Vec<ReceiptItem>);
    /// The cursors of a conversation's members.
    fn cursors(
        &self,
        conversation: ConversationId,
        user: Option<UserId>,
    ) -> BoxFuture<'static, Result<Vec<ReceiptItem>, CallError>>;
    /// A page of a partition from a place on, members, entries and cursors: for services.
    fn export(
        &self,
        partition: Partition,
        from: ExportPlace,
    ) -> BoxFuture<'static, Result<ExportPage, CallError>>;
    /// Tells the other members, without an answer.
    fn typing(&self, conversation: ConversationId, user: UserId);
    /// Every partition's owner and epoch, of the nodes that answer.
    fn status(&self) -> BoxFuture<'static, Vec<PartitionStatus>>;
}
