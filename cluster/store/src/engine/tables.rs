//! The tables of the redb engine, and how rows are written in them.
//!
//! Keys are tuples of plain numbers in the order in which they are read: all entries of a
//! conversation lie side by side.

use ports::message_store::{ConversationRow, Cursors, DecisionRow};
use protocol::store_calls::ConversationKind;
use protocol::{ConversationId, Epoch, NodeNumber, RejectReason, Sequence};
use redb::TableDefinition;
use std::fmt;

/// Whose rows a disk holds. Which partitions live on a store node with a disk of its own follows from
/// these numbers, so under others its conversations would seem to be gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which store node, from 1.
    pub number: NodeNumber,
    /// Of how many.
    pub stores: u16,
    /// Partitions of the cluster.
    pub partitions: u16,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, stores, partitions } = self;
        write!(f, "store {number} of {stores} with {partitions} partitions")
    }
}

/// The key of `DECISIONS`.
pub type DecisionKey = (u16, u64, u64);
/// The value of `DECISIONS`.
pub type DecisionValue = (u64, u64, u64, u16, u8);

/// () -> (number, stores, partitions) of the store node that the disk belongs to
pub const PLACE: TableDefinition<(), (u16, u16, u16)> = TableDefinition::new("place");
/// () -> the last group of the log whose rows are in the tables
pub const GROUPS: TableDefinition<(), u64> = TableDefinition::new("groups");
/// partition -> epoch
pub const LEASES: TableDefinition<u16, u64> = TableDefinition::new("leases");
/// (partition, conversation) -> (kind, head, first, founders)
pub const CONVERSATIONS: TableDefinition<(u16, u64), (u8, u64, u64, u32)> =
    TableDefinition::new("conversations");
/// (conversation, sequence) -> the entry in postcard
pub const ENTRIES: TableDefinition<(u64, u64), &[u8]> = TableDefinition::new("entries");
/// (conversation, sequence) of each deleted message
pub const DELETIONS: TableDefinition<(u64, u64), ()> = TableDefinition::new("deletions");
/// (partition, author, client message id) -> (conversation, sequence, epoch, owner, refusal)
pub const DECISIONS: TableDefinition<DecisionKey, DecisionValue> =
    TableDefinition::new("decisions");
/// (conversation, user, joined) -> left, 0 while a member
pub const MEMBERS: TableDefinition<(u64, u64, u64), u64> = TableDefinition::new("members");
/// (user, conversation) -> joined, of current members
pub const MEMBERSHIPS: TableDefinition<(u64, u64), u64> = TableDefinition::new("memberships");
/// (conversation, user) -> (delivered, read)
pub const CURSORS: TableDefinition<(u64, u64), (u64, u64)> = TableDefinition::new("cursors");

/// A row of `PLACE`.
pub fn place_value(place: Place) -> (u16, u16, u16) {
    (place.number.0, place.stores, place.partitions)
}

/// The same back.
pub fn place_row((number, stores, partitions): (u16, u16, u16)) -> Place {
    Place { number: NodeNumber(number), stores, partitions }
}

/// A row of `CONVERSATIONS`.
pub fn conversation_value(row: &ConversationRow) -> (u8, u64, u64, u32) {
    let kind = match row.kind {
        ConversationKind::Direct => 0,
        ConversationKind::Group => 1,
    };
    (kind, row.head.0, row.first.0, row.founders)
}

/// The same back; an unknown kind is a group, the kind with fewer promises.
pub fn conversation_row((kind, head, first, founders): (u8, u64, u64, u32)) -> ConversationRow {
    let kind = if kind == 0 { ConversationKind::Direct } else { ConversationKind::Group };
    ConversationRow { kind, head: Sequence(head), first: Sequence(first), founders }
}

/// A row of `DECISIONS`: no entry has the sequence 0, and no reason the number 0.
pub fn decision_value(row: &DecisionRow) -> DecisionValue {
    let (sequence, refusal) = match row.decision {
        Ok(sequence) => (sequence.0, 0),
        Err(reason) => (0, reason.number()),
    };
    (row.conversation.0, sequence, row.epoch.0, row.owner.0, refusal)
}

/// The same back.
pub fn decision_row((conversation, sequence, epoch, owner, refusal): DecisionValue) -> DecisionRow {
    DecisionRow {
        conversation: ConversationId(conversation),
        decision: RejectReason::numbered(refusal).map_or(Ok(Sequence(sequence)), Err),
        epoch: Epoch(epoch),
        owner: NodeNumber(owner),
    }
}

/// A row of `CURSORS` back.
pub fn cursors_row((delivered, read): (u64, u64)) -> Cursors {
    Cursors { delivered: Sequence(delivered), read: Sequence(read) }
}

/// `MEMBERS` has no room for `None`, and no entry has the sequence 0.
pub fn left_row(left: u64) -> Option<Sequence> {
    (left > 0).then_some(Sequence(left))
}
