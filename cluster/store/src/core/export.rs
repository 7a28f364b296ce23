//! Reading a partition from one end to the other, a page at a time, in the order of the conversations.
//!
//! Every page is from one instant, and says where the next one begins: nothing is kept between two of
//! them, so whoever owns the partition by then can answer it.

use super::pages::Budget;
use ports::message_store::{ConversationRow, Span, StoreError, StoreView};
use protocol::limits::StoreLimits;
use protocol::store_calls::{ExportPage, ExportPlace, ExportedConversation, ExportedEnd};
use protocol::{ConversationId, Epoch, NodeNumber, Partition, Sequence};

/// About the bytes of a conversation without its entries, and of each of its members and cursors.
const ROW_BYTES: usize = 32;

/// A page of a partition from a place on, read under this epoch of this owner.
pub fn page(
    view: &dyn StoreView,
    partition: Partition,
    from: ExportPlace,
    limits: &StoreLimits,
    (owner, epoch): (NodeNumber, Epoch),
) -> Result<ExportPage, StoreError> {
    let most = limits.export_conversations.max(1);
    let rows = view.conversations(partition, from.conversation, most)?;
    let mut next =
        rows.last().filter(|_| rows.len() == most).map(|(last, _)| ExportPlace::behind(*last));
    let mut conversations = Vec::with_capacity(rows.len());
    let mut left = limits.export_bytes;
    for (id, row) in rows {
        let behind = if id == from.conversation { from.after } else { Sequence::START };
        let part = part(view, (partition, id), row, behind, left)?;
        left = left.saturating_sub(bytes(&part));
        let is_cut = part.end.is_none();
        if is_cut || left == 0 {
            next = Some(match part.entries.last() {
                Some(last) if is_cut => ExportPlace { conversation: id, after: last.sequence },
                _ => ExportPlace::behind(id),
            });
        }
        conversations.push(part);
        if is_cut || left == 0 {
            break;
        }
    }
    Ok(ExportPage { partition, owner, epoch, conversations, next })
}

fn part(
    view: &dyn StoreView,
    (partition, id): (Partition, ConversationId),
    row: ConversationRow,
    after: Sequence,
    bytes: usize,
) -> Result<ExportedConversation, StoreError> {
    let (after, before) = (after.max(row.first.before()), row.head.next());
    let span = Span { partition, conversation: id, after, before, limit: usize::MAX };
    let mut entries = Budget::new(bytes).read(view, span)?;
    if entries.is_empty() {
        // A part has one at least, or there would be no progress.
        entries = view.entries(partition, id, after, before, 1)?;
    }
    // Without any entry before the head there is a hole, and nothing to go on from.
    let is_cut = entries.last().is_some_and(|last| last.sequence < row.head);
    let end = if is_cut {
        None
    } else {
        let mut members = view.members(partition, id)?;
        members.sort_by_key(|member| member.joined);
        Some(ExportedEnd { members, cursors: view.cursors(partition, id)? })
    };
    let ConversationRow { kind, head, first, .. } = row;
    Ok(ExportedConversation { conversation: id, kind, head, first, entries, end })
}

fn bytes(part: &ExportedConversation) -> usize {
    let entries = part.entries.iter().map(|entry| entry.content.body_bytes() + 100);
    let rows = part.end.as_ref().map_or(0, |end| end.members.len() + end.cursors.len());
    entries.sum::<usize>() + (rows + 1) * ROW_BYTES
}

#[cfg(test)]
mod tests;
