//! Reading a conversation: where a stream starts, and what a member may see.
//!
//! A member sees sequence `q` if one of the membership intervals has `joined <= q < left`. Former
//! members keep what they could see.

use super::conversation::Conversation;
use ports::conversations::Refusal;
use ports::message_store::{StoreError, StoreView};
use protocol::store_calls::{AttachItem, AttachRefusal, AttachedAt, RangePage, RangeQuery};
use protocol::{Entry, Epoch, Partition, Sequence, limits};

/// Where a stream starts for a member, with as many entries as the budget allows. `from` lies behind
/// what was asked for if the user joined later or retention has removed entries, and never behind
/// the head: a cursor beyond it is not from here. A device without a cursor is shown what none of the
/// user's devices has been shown, or a receipt from it would speak for what lies before.
pub fn attach(
    (view, partition): (&dyn StoreView, Partition),
    conversation: Option<&Conversation>,
    item: &AttachItem,
    epoch: Epoch,
    budget: &mut Budget,
) -> Result<Result<AttachedAt, AttachRefusal>, StoreError> {
    let member = conversation.and_then(|found| found.joined(item.user).map(|at| (found, at)));
    let Some((conversation, joined)) = member else { return Ok(Err(AttachRefusal::NotMember)) };
    let row = conversation.row;
    let earliest = Sequence(joined.0.max(row.first.0).saturating_sub(1));
    let after = if let Some(after) = item.after {
        after
    } else {
        let shown =
            view.cursor(partition, item.conversation, item.user)?.unwrap_or_default().delivered;
        // Who was there from the beginning needs no entry to know it.
        shown.max(Sequence(row.founders.into()))
    };
    let from = after.max(earliest).min(row.head);
    let entries = if from < row.head && budget.left > 0 && !item.again {
        let limit = limits::MAX_PAGE as usize;
        budget.take(view.entries(partition, item.conversation, from, row.head.next(), limit)?)
    } else {
        Vec::new()
    };
    Ok(Ok(AttachedAt { from, head: row.head, entries, epoch }))
}

/// A page of stored entries, oldest first.
pub fn range(
    view: &dyn StoreView,
    partition: Partition,
    query: &RangeQuery,
) -> Result<Result<RangePage, Refusal>, StoreError> {
    let Some(row) = view.conversation(partition, query.conversation)? else {
        return Ok(Err(Refusal::NoSuchConversation));
    };
    let end = row.head.next();
    let spans = match query.user {
        None => vec![(row.first, end)],
        Some(user) => {
            let intervals = view.memberships(partition, query.conversation, user)?;
            intervals.iter().map(|is| (is.joined, is.left.unwrap_or(end))).collect()
        }
    };
    if spans.is_empty() {
        return Ok(Err(Refusal::NoSuchConversation));
    }
    let mut missing = query.limit.min(limits::MAX_PAGE) as usize;
    let mut entries: Vec<Entry> = Vec::new();
    for (start, end) in spans {
        let after = query.after.max(Sequence(start.0.saturating_sub(1)));
        if missing == 0 || after.next() >= end {
            continue;
        }
        let found = view.entries(partition, query.conversation, after, end, missing)?;
        missing -= found.len();
        entries.extend(found);
    }
    Ok(Ok(RangePage { entries, first: row.first, head: row.head }))
}

/// Bytes that the entries of one answer may still take.
#[derive(Debug)]
pub struct Budget {
    left: usize,
}

impl Budget {
    /// So many.
    pub const fn new(bytes: usize) -> Self {
        Self { left: bytes }
    }

    /// As many of the entries as fit; what follows the first that does not fit is left out too.
    fn take(&mut self, mut entries: Vec<Entry>) -> Vec<Entry> {
        let mut fit = 0;
        for entry in &entries {
            // Everything but the text is below 100 bytes.
            let bytes = entry.content.body_bytes() + 100;
            let Some(left) = self.left.checked_sub(bytes) else {
                self.left = 0;
                break;
            };
            self.left = left;
            fit += 1;
        }
        entries.truncate(fit);
        entries
    }
}
