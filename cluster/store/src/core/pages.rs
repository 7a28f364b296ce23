//! Reading a conversation: where a stream starts, and what a member may see.
//!
//! A member sees sequence `q` if one of the membership intervals has `joined <= q < left`. Former
//! members keep what they could see.

use super::conversation::Conversation;
use ports::conversations::Refusal;
use ports::message_store::{Span, StoreError, StoreView};
use protocol::store_calls::{AttachItem, AttachRefusal, RangePage, RangeQuery};
use protocol::{Entry, Partition, Sequence, limits};

/// Where a stream starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// Behind this.
    pub from: Sequence,
    /// The newest entry.
    pub head: Sequence,
}

/// Where a stream starts for a member. `from` lies behind what was asked for if the user joined later or
/// retention has removed entries, and never behind the head: a cursor beyond it is not from here. A device
/// without a cursor is shown what none of the user's devices has been shown (`delivered`), or a receipt from
/// it would speak for what lies before.
pub fn start(
    conversation: Option<&Conversation>,
    item: &AttachItem,
    delivered: Sequence,
) -> Result<Start, AttachRefusal> {
    let member = conversation.and_then(|found| found.joined(item.user).map(|at| (found, at)));
    let (conversation, joined) = member.ok_or(AttachRefusal::NotMember)?;
    let row = conversation.row;
    let earliest = Sequence(joined.0.max(row.first.0).saturating_sub(1));
    // Who was there from the beginning needs no entry to know it.
    let after = item.after.unwrap_or_else(|| delivered.max(Sequence(row.founders.into())));
    Ok(Start { from: after.max(earliest).min(row.head), head: row.head })
}

/// A page of stored entries, oldest first: at most as many as are asked for, as far as they fit.
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
    let most = query.limit.min(limits::MAX_PAGE) as usize;
    let mut budget = Budget::new(PAGE_BYTES);
    let mut entries: Vec<Entry> = Vec::new();
    for (start, end) in spans {
        let after = query.after.max(Sequence(start.0.saturating_sub(1)));
        let (conversation, limit) = (query.conversation, most - entries.len());
        let span = Span { partition, conversation, after, before: end, limit };
        entries.extend(budget.read(view, span)?);
    }
    Ok(Ok(RangePage { entries, first: row.first, head: row.head }))
}

/// Bytes of one page: what the queue of a session takes at once. Otherwise a request of some bytes makes
/// two nodes read, send and decode megabytes that are then not used.
const PAGE_BYTES: usize = 128 * 1024;
/// Entries that are read before it is known how large they are; then twice as many at a time.
const READ_FIRST: usize = 16;

/// The entries of a span that are read before it is known how large they are.
pub fn first_of(span: Span) -> Span {
    Span { limit: span.limit.min(READ_FIRST), ..span }
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

    /// Whether nothing more fits.
    pub const fn is_spent(&self) -> bool {
        self.left == 0
    }

    /// The entries of a span, as far as they fit into a page and the budget.
    pub fn read(&mut self, view: &dyn StoreView, span: Span) -> Result<Vec<Entry>, StoreError> {
        if self.is_spent() || span.limit == 0 || span.after.next() >= span.before {
            return Ok(Vec::new());
        }
        let first = view.entries_of(&[first_of(span)])?.pop().unwrap_or_default();
        self.read_on(view, span, first)
    }

    /// The same where the first of them (`first_of`) are there.
    pub fn read_on(
        &mut self,
        view: &dyn StoreView,
        Span { partition, conversation, before, limit, .. }: Span,
        first: Vec<Entry>,
    ) -> Result<Vec<Entry>, StoreError> {
        let (mut page, mut step) = (Self::new(self.left.min(PAGE_BYTES)), READ_FIRST);
        let whole = page.left;
        let (mut entries, mut found) = (Vec::new(), first);
        while let Some(last) = found.last() {
            let after = last.sequence;
            entries.extend(page.take(found));
            if entries.len() >= limit || page.is_spent() || after.next() >= before {
                break;
            }
            step *= 2;
            let count = step.min(limit - entries.len());
            found = view.entries(partition, conversation, after, before, count)?;
        }
        self.left -= whole - page.left;
        Ok(entries)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::MemoryStore;
    use crate::engine::conformance::acquire;
    use ports::message_store::{Batch, ConversationRow, MessageStore};
    use protocol::store_calls::ConversationKind;
    use protocol::{ClientMessageId, Content, ConversationId, NodeNumber, UserId};
    use std::sync::Arc;

    const HOME: Partition = Partition(3);
    const CONVERSATION: ConversationId = ConversationId(7);
    const COUNT: u64 = 300;

    /// A conversation of so many messages of this size.
    fn store(bytes: usize) -> MemoryStore {
        let store = MemoryStore::default();
        let lease = acquire(&store, HOME);
        let (kind, head) = (ConversationKind::Group, Sequence(COUNT));
        let row = ConversationRow { kind, head, first: Sequence(1), founders: 0 };
        let entry = |sequence| Entry {
            conversation: CONVERSATION,
            sequence: Sequence(sequence),
            epoch: lease.epoch,
            owner: NodeNumber(1),
            author: UserId(1),
            client_message_id: ClientMessageId(sequence),
            at_ms: 0,
            content: Content::Message { body: "x".repeat(bytes), reply_to: None },
        };
        let entries = (1..=COUNT).map(|q| ((CONVERSATION, Sequence(q)), Arc::new(entry(q))));
        let batch = Batch {
            conversations: [(CONVERSATION, row)].into(),
            members: [((CONVERSATION, UserId(1), Sequence(1)), None)].into(),
            entries: entries.collect(),
            ..Batch::default()
        };
        assert_eq!(store.commit(&[(lease, batch)]), Ok(Vec::new()));
        store
    }

    /// How many entries each page has, until the head is reached.
    fn pages(store: &MemoryStore) -> Vec<usize> {
        let (mut after, mut pages) = (Sequence(0), Vec::new());
        while after.0 < COUNT {
            let (conversation, user) = (CONVERSATION, Some(UserId(1)));
            let query = RangeQuery { conversation, user, after, limit: limits::MAX_PAGE };
            let page = range(&*store.view().unwrap(), HOME, &query).unwrap().unwrap();
            let found: Vec<u64> = page.entries.iter().map(|entry| entry.sequence.0).collect();
            let next = after.0 + 1..=after.0 + found.len() as u64;
            assert_eq!(found, next.collect::<Vec<_>>(), "without a gap");
            after = page.entries.last().unwrap().sequence;
            pages.push(found.len());
        }
        pages
    }

    #[test]
    fn nothing_is_stored_behind_the_largest_sequence() {
        let store = store(10);
        for user in [None, Some(UserId(1))] {
            let (conversation, after) = (CONVERSATION, Sequence(u64::MAX));
            let query = RangeQuery { conversation, user, after, limit: limits::MAX_PAGE };
            let page = range(&*store.view().unwrap(), HOME, &query).unwrap().unwrap();
            assert_eq!((page.entries, page.head), (Vec::new(), Sequence(COUNT)));
        }
    }

    #[test]
    fn a_page_is_full_of_short_texts_or_as_large_as_may_be() {
        assert_eq!(pages(&store(10)), [200, 100]);
        assert_eq!(
            pages(&store(limits::MAX_BODY_BYTES)),
            [7].repeat(42).into_iter().chain([6]).collect::<Vec<_>>()
        );
    }

    #[test]
    fn an_attachment_brings_no_more_than_a_page() {
        let store = store(limits::MAX_BODY_BYTES);
        let view = store.view().unwrap();
        let conversation = Conversation::load(&*view, HOME, CONVERSATION).unwrap();
        let (conversation_id, user, after) = (CONVERSATION, UserId(1), Some(Sequence(3)));
        let item = AttachItem {
            conversation: conversation_id,
            user,
            after,
            presence: false,
            again: false,
        };
        let mut budget = Budget::new(limits::MAX_LINK_FRAME_BYTES);
        let at = start(conversation.as_ref(), &item, Sequence(0)).unwrap();
        assert_eq!(at, Start { from: Sequence(3), head: Sequence(COUNT) });
        let (partition, before) = (HOME, at.head.next());
        let (conversation, limit) = (CONVERSATION, limits::MAX_PAGE as usize);
        let span = Span { partition, conversation, after: at.from, before, limit };
        let entries = budget.read(&*view, span).unwrap();
        assert_eq!((entries.len(), entries[0].sequence), (7, Sequence(4)));
    }
}
