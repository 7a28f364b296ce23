//! What gateways ask the owners directly (not through the broker): attach, backlog, membership, receipts.

use crate::entry::Entry;
use crate::ids::{ConversationId, Epoch, NodeNumber, Partition, Sequence, UserId};
use serde::{Deserialize, Serialize};

/// A user on this gateway wants a conversation's stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachItem {
    /// The conversation.
    pub conversation: ConversationId,
    /// The member.
    pub user: UserId,
    /// The stream starts behind this sequence; `None`: behind what the user has been shown on any device.
    pub after: Option<Sequence>,
    /// Whether this user wants presence and typing.
    pub presence: bool,
    /// The attachment is made again: streams go on, and only the head is of interest.
    pub again: bool,
}

/// A user's stream on this gateway ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DetachItem {
    /// The conversation.
    pub conversation: ConversationId,
    /// The member.
    pub user: UserId,
    /// Everything up to here has certainly arrived on one of the user's devices; `None`: nobody knows.
    /// What was sent beyond it may have been written to a connection that was dead already.
    pub arrived: Option<Sequence>,
}

/// The answer to one `AttachItem`, from the same instant as the subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachedItem {
    /// The conversation.
    pub conversation: ConversationId,
    /// The member.
    pub user: UserId,
    /// Or why not.
    pub outcome: Result<AttachedAt, AttachRefusal>,
}

/// Where a stream starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachedAt {
    /// The stream starts behind this sequence (later than asked for if the member joined later or
    /// retention has removed entries).
    pub from: Sequence,
    /// The newest sequence; live entries start behind it.
    pub head: Sequence,
    /// Entries behind `from`, contiguous, as many as fit; the rest through `range`.
    pub entries: Vec<Entry>,
    /// The epoch of the owner.
    pub epoch: Epoch,
}

/// Why a conversation cannot be attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttachRefusal {
    /// Not a member, or no such conversation.
    NotMember,
}

/// Asks for stored entries, oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RangeQuery {
    /// The conversation.
    pub conversation: ConversationId,
    /// Filter by this user's membership intervals; `None`: everything (services only).
    pub user: Option<UserId>,
    /// Entries behind this sequence.
    pub after: Sequence,
    /// At most this many.
    pub limit: u32,
}

/// Stored entries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RangePage {
    /// The entries, contiguous unless membership filters some.
    pub entries: Vec<Entry>,
    /// The oldest stored sequence.
    pub first: Sequence,
    /// The newest stored sequence.
    pub head: Sequence,
}

/// Direct conversations have exactly two members for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConversationKind {
    /// Two members.
    Direct,
    /// Any number of members, who come and go.
    Group,
}

/// A conversation as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConversationInfo {
    /// Its id.
    pub conversation: ConversationId,
    /// Its kind.
    pub kind: ConversationKind,
    /// The newest sequence.
    pub head: Sequence,
    /// The oldest stored sequence.
    pub first: Sequence,
    /// Membership, with intervals.
    pub members: Vec<Membership>,
}

/// A user is a member for `joined <= sequence < left`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The user.
    pub user: UserId,
    /// From this sequence on.
    pub joined: Sequence,
    /// Up to before this sequence; `None`: still a member.
    pub left: Option<Sequence>,
}

/// How far a conversation's log goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The conversation.
    pub conversation: ConversationId,
    /// Its newest entry.
    pub sequence: Sequence,
}

/// One of a user's conversations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserConversation {
    /// The user.
    pub user: UserId,
    /// The conversation.
    pub conversation: ConversationId,
    /// When the user became a member.
    pub joined: Sequence,
}

/// Makes a conversation; the same request again changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateConversation {
    /// Its id.
    pub conversation: ConversationId,
    /// Its kind.
    pub kind: ConversationKind,
    /// Who makes it.
    pub creator: UserId,
    /// Its first members, in this order: each gets a `Join` entry.
    pub members: Vec<UserId>,
}

/// A conversation that exists as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatedConversation {
    /// Whether this request has made it; otherwise an earlier one has.
    pub is_new: bool,
    /// The conversation as it stands.
    pub info: ConversationInfo,
}

/// A member is added or removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeMember {
    /// The conversation.
    pub conversation: ConversationId,
    /// Who does it; must be a member unless it is a service (`None`).
    pub by: Option<UserId>,
    /// Who is added or removed.
    pub user: UserId,
    /// Added (true) or removed (false).
    pub add: bool,
}

/// From where on a partition is read: of this conversation what is behind a sequence, and every later one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ExportPlace {
    /// The conversation, whether or not there is one of this id.
    pub conversation: ConversationId,
    /// Its entries behind this sequence.
    pub after: Sequence,
}

impl ExportPlace {
    /// Behind a whole conversation.
    pub const fn behind(conversation: ConversationId) -> Self {
        let next = ConversationId(conversation.0.saturating_add(1));
        Self { conversation: next, after: Sequence::START }
    }
}

/// Conversations of a partition in the order of their ids, as they were at one instant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportPage {
    /// The partition.
    pub partition: Partition,
    /// The node that has read it.
    pub owner: NodeNumber,
    /// Under this epoch, which was the newest at that instant.
    pub epoch: Epoch,
    /// The conversations; the last one may go on in the next page.
    pub conversations: Vec<ExportedConversation>,
    /// Where the next page begins; `None`: there is nothing more.
    pub next: Option<ExportPlace>,
}

/// A conversation, or a part of a long one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportedConversation {
    /// Its id.
    pub conversation: ConversationId,
    /// Its kind.
    pub kind: ConversationKind,
    /// The newest sequence.
    pub head: Sequence,
    /// The oldest stored sequence.
    pub first: Sequence,
    /// Stored entries, oldest first.
    pub entries: Vec<Entry>,
    /// What stands behind the last of them; `None`: more entries follow in another part.
    pub end: Option<ExportedEnd>,
}

/// What a conversation has besides its entries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportedEnd {
    /// Membership, with intervals, by the order of joining.
    pub members: Vec<Membership>,
    /// The cursors of those who have any.
    pub cursors: Vec<ReceiptItem>,
}

/// A member's cursors rise to at least these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptItem {
    /// The conversation.
    pub conversation: ConversationId,
    /// The member.
    pub user: UserId,
    /// Shown on one of the member's devices.
    pub delivered: Sequence,
    /// Read by the member.
    pub read: Sequence,
}

/// A push that a notifier is about to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PushRef {
    /// Who is to be told.
    pub user: UserId,
    /// The conversation.
    pub conversation: ConversationId,
    /// The message.
    pub sequence: Sequence,
}

/// What the owner says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PushAdvice {
    /// The user is away.
    Now,
    /// It is not known yet; ask again.
    Later {
        /// After this long.
        after_ms: u32,
    },
    /// The user is there, has been shown the message, or is no member any more.
    Never,
}

/// What one store node says of one of its partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionStatus {
    /// The partition.
    pub partition: Partition,
    /// The node.
    pub owner: NodeNumber,
    /// Its epoch.
    pub epoch: Epoch,
    /// Conversations in it.
    pub conversations: u64,
}
