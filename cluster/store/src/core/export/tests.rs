//! Pages of a partition, wherever they end.

use super::*;
use crate::engine::MemoryStore;
use crate::engine::conformance::acquire;
use ports::message_store::{Batch, Cursors, Lease, MessageStore};
use proptest::prelude::*;
use protocol::limits::MAX_BODY_BYTES;
use protocol::store_calls::ConversationKind;
use protocol::{ClientMessageId, Content, Entry, UserId};
use std::sync::Arc;

const HOME: Partition = Partition(3);
const READ_BY: (NodeNumber, Epoch) = (NodeNumber(1), Epoch(1));

fn entry(id: ConversationId, sequence: u64, bytes: usize) -> Entry {
    Entry {
        conversation: id,
        sequence: Sequence(sequence),
        epoch: Epoch(1),
        owner: NodeNumber(1),
        author: UserId(1),
        client_message_id: ClientMessageId(sequence),
        at_ms: 0,
        content: Content::Message { body: "x".repeat(bytes), reply_to: None },
    }
}

fn row(first: u64, head: u64) -> ConversationRow {
    let (kind, head, first) = (ConversationKind::Group, Sequence(head), Sequence(first));
    ConversationRow { kind, head, first, founders: 1 }
}

/// Conversations of so many entries of these sizes, by id; with a member and a cursor each.
fn store(conversations: &[(u64, usize, usize)]) -> (MemoryStore, Lease) {
    let store = MemoryStore::default();
    let lease = acquire(&store, HOME);
    let mut batch = Batch::default();
    for (id, count, bytes) in conversations.iter().copied() {
        let (id, count) = (ConversationId(id), count as u64);
        batch.conversations.insert(id, row(1, count));
        batch.members.insert((id, UserId(1), Sequence(1)), None);
        batch.cursors.insert((id, UserId(1)), Cursors::default());
        let entries = (1..=count).map(|q| ((id, Sequence(q)), Arc::new(entry(id, q, bytes))));
        batch.entries.extend(entries);
    }
    assert_eq!(store.commit(&[(lease, batch)]), Ok(Vec::new()));
    (store, lease)
}

/// All pages from a place on.
fn pages(store: &MemoryStore, from: ExportPlace, limits: &StoreLimits) -> Vec<ExportPage> {
    let (mut place, mut pages) = (Some(from), Vec::new());
    while let Some(from) = place {
        let page = page(&*store.view().unwrap(), HOME, from, limits, READ_BY).unwrap();
        assert!(page.next.is_none_or(|next| next > from), "{from:?} leads to {:?}", page.next);
        place = page.next;
        pages.push(page);
    }
    pages
}

/// The sequences of each conversation that was read to its end, in the order of reading.
fn whole(pages: &[ExportPage]) -> Vec<(u64, Vec<u64>)> {
    let (mut all, mut entries) = (Vec::new(), Vec::new());
    for part in pages.iter().flat_map(|page| &page.conversations) {
        entries.extend(part.entries.iter().map(|entry| entry.sequence.0));
        if let Some(end) = &part.end {
            assert_eq!((end.members.len(), end.cursors.len()), (1, 1));
            all.push((part.conversation.0, std::mem::take(&mut entries)));
        }
    }
    assert_eq!(entries, [0; 0], "a conversation without an end");
    all
}

proptest! {
    /// Wherever pages end, each conversation comes once, whole, in order; and none takes much more than
    /// its bytes.
    #[test]
    fn pages_of_any_size_hold_everything_once(
        sizes in prop::collection::btree_map(1_u64..40, (1_usize..40, 0_usize..3_000), 0..12),
        export_conversations in 1_usize..6,
        export_bytes in 1_usize..8_000,
    ) {
        let sizes: Vec<_> = sizes.into_iter().map(|(id, (count, size))| (id, count, size)).collect();
        let (store, _) = store(&sizes);
        let limits = StoreLimits { export_conversations, export_bytes, ..StoreLimits::default() };
        let pages = pages(&store, ExportPlace::default(), &limits);
        let expected: Vec<_> =
            sizes.iter().map(|(id, count, _)| (*id, (1..=*count as u64).collect())).collect();
        prop_assert_eq!(whole(&pages), expected);
        for page in &pages {
            let size: usize = page.conversations.iter().map(bytes).sum();
            prop_assert!(page.conversations.len() <= export_conversations);
            prop_assert!(size <= export_bytes + 3_100 + 3 * ROW_BYTES, "{}", size);
        }
    }
}

#[test]
fn an_entry_that_is_larger_than_a_page_has_one_of_its_own() {
    let (store, _) = store(&[(5, 3, MAX_BODY_BYTES), (6, 1, 10)]);
    let limits = StoreLimits::tiny();
    let pages = pages(&store, ExportPlace::default(), &limits);
    let counts = |page: &ExportPage| -> Vec<usize> {
        page.conversations.iter().map(|part| part.entries.len()).collect()
    };
    assert_eq!(pages.iter().map(counts).collect::<Vec<_>>(), [vec![1], vec![1], vec![1], vec![1]]);
    assert_eq!(whole(&pages), [(5, vec![1, 2, 3]), (6, vec![1])]);
}

#[test]
fn what_retention_removes_between_two_pages_is_neither_missed_nor_waited_for() {
    let (store, lease) = store(&[(5, 30, 500), (6, 2, 10)]);
    let limits = StoreLimits { export_bytes: 1_000, ..StoreLimits::default() };
    let first = page(&*store.view().unwrap(), HOME, ExportPlace::default(), &limits, READ_BY);
    let first = first.unwrap();
    let place = first.next.expect("there is more");
    assert_eq!(place.conversation, ConversationId(5));
    assert!(place.after < Sequence(29), "{place:?}");
    let batch = Batch {
        conversations: [(ConversationId(5), row(30, 30))].into(),
        trims: [(ConversationId(5), Sequence(30))].into(),
        ..Batch::default()
    };
    assert_eq!(store.commit(&[(lease, batch)]), Ok(Vec::new()));
    let rest = pages(&store, place, &limits);
    assert_eq!(whole(&rest), [(5, vec![30]), (6, vec![1, 2])]);
    assert_eq!(rest[0].conversations[0].first, Sequence(30), "and it is said");
}

#[test]
fn a_hole_before_the_head_ends_a_conversation_and_shows() {
    let (store, lease) = store(&[(5, 2, 10), (6, 1, 10)]);
    let batch =
        Batch { conversations: [(ConversationId(5), row(1, 9))].into(), ..Batch::default() };
    assert_eq!(store.commit(&[(lease, batch)]), Ok(Vec::new()));
    let pages = pages(&store, ExportPlace::default(), &StoreLimits::default());
    assert_eq!(whole(&pages), [(5, vec![1, 2]), (6, vec![1])]);
    let last = &pages[1].conversations[0];
    assert_eq!((last.head, last.entries.len()), (Sequence(9), 0));
}
