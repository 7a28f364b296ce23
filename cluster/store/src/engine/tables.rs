//! The tables of the redb engine, and how rows are written in them.
//!
//! Keys are tuples of plain numbers in the order in which they are read: all entries of a
//! conversation lie side by side.

use ports::message_store::{AcceptedRow, ConversationRow, Cursors};
use protocol::store_calls::ConversationKind;
use protocol::{ConversationId, Epoch, NodeNumber, Sequence};
use redb::TableDefinition;

/// The key of `ACCEPTED`.
pub type AcceptedKey = (u16, u64, u64);
/// The value of `ACCEPTED`.
pub type AcceptedValue = (u64, u64, u64, u16);

/// partition -> epoch
pub const LEASES: TableDefinition<u16, u64> = TableDefinition::new("leases");
/// (partition, conversation) -> (kind, head, first, founders)
pub const CONVERSATIONS: TableDefinition<(u16, u64), (u8, u64, u64, u32)> =
    TableDefinition::new("conversations");
/// (conversation, sequence) -> the entry in postcard
pub const ENTRIES: TableDefinition<(u64, u64), &[u8]> = TableDefinition::new("entries");
/// (partition, author, client message id) -> (conversation, sequence, epoch, owner)
pub const ACCEPTED: TableDefinition<AcceptedKey, AcceptedValue> = TableDefinition::new("accepted");
/// (conversation, user, joined) -> left, 0 while a member
pub const MEMBERS: TableDefinition<(u64, u64, u64), u64> = TableDefinition::new("members");
/// (user, conversation) -> joined, of current members
pub const MEMBERSHIPS: TableDefinition<(u64, u64), u64> = TableDefinition::new("memberships");
/// (conversation, user) -> (delivered, read)
pub const CURSORS: TableDefinition<(u64, u64), (u64, u64)> = TableDefinition::new("cursors");

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

/// A row of `ACCEPTED`.
pub fn accepted_value(row: &AcceptedRow) -> AcceptedValue {
    (row.conversation.0, row.sequence.0, row.epoch.0, row.owner.0)
}

/// The same back.
pub fn accepted_row((conversation, sequence, epoch, owner): AcceptedValue) -> AcceptedRow {
    AcceptedRow {
        conversation: ConversationId(conversation),
        sequence: Sequence(sequence),
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
