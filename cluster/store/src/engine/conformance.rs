//! What every engine must do, checked against the engine in memory by random batches and by claims.

use super::RedbStore;
use super::memory::MemoryStore;
use fakes::FakeDisk;
use ports::message_store::{
    ConversationRow, Cursors, DecisionRow, Lease, MessageStore, StoreError, WriteBatch,
};
use proptest::prelude::*;
use protocol::design::Fsync;
use protocol::store_calls::ConversationKind;
use protocol::{
    ClientMessageId, Content, ConversationId, Entry, Epoch, NodeNumber, Partition, RejectReason,
    Sequence, UserId,
};
use std::fmt::Write;
use std::sync::Arc;

fn redb() -> RedbStore {
    RedbStore::open(Arc::new(FakeDisk::default()), Fsync::Always).unwrap()
}

fn both(check: impl Fn(&dyn MessageStore)) {
    check(&MemoryStore::default());
    check(&redb());
}

/// A change to some small set of rows, so that batches meet.
#[derive(Clone, Debug)]
enum Change {
    Entry(u64, u64),
    Deletion(u64, u64),
    Conversation(u16, u64, u64, u64),
    Accepted(u16, u64, u64),
    Member(u64, u64, u64, u64),
    Cursor(u64, u64, u64),
    Trim(u64, u64),
}

fn change() -> impl Strategy<Value = Change> {
    let (small, user) = (0_u64..4, 1_u64..4);
    prop_oneof![
        (small.clone(), 1_u64..9).prop_map(|(c, q)| Change::Entry(c, q)),
        (small.clone(), 1_u64..9).prop_map(|(c, q)| Change::Deletion(c, q)),
        (0_u16..2, small.clone(), 0_u64..9, 1_u64..9)
            .prop_map(|(p, c, head, first)| Change::Conversation(p, c, head, first)),
        (0_u16..2, user.clone(), 1_u64..5).prop_map(|(p, u, m)| Change::Accepted(p, u, m)),
        (small.clone(), user.clone(), 1_u64..5, 0_u64..3)
            .prop_map(|(c, u, joined, left)| Change::Member(c, u, joined, left)),
        (small.clone(), user, 0_u64..9).prop_map(|(c, u, at)| Change::Cursor(c, u, at)),
        (small, 0_u64..9).prop_map(|(c, first)| Change::Trim(c, first)),
    ]
}

fn add(batch: &mut WriteBatch, change: &Change) {
    let id = ConversationId;
    match *change {
        Change::Entry(c, q) => {
            let entry = Entry {
                conversation: id(c),
                sequence: Sequence(q),
                epoch: Epoch(1),
                owner: NodeNumber(1),
                author: UserId(1),
                client_message_id: ClientMessageId(q),
                at_ms: c,
                content: Content::Message { body: format!("{c}/{q}"), reply_to: None },
            };
            batch.entries.insert((id(c), Sequence(q)), Arc::new(entry));
        }
        Change::Deletion(c, q) => {
            batch.deletions.insert((id(c), Sequence(q)));
        }
        Change::Conversation(p, c, head, first) => {
            let (head, first) = (Sequence(head), Sequence(first));
            let kind = if c % 2 == 0 { ConversationKind::Direct } else { ConversationKind::Group };
            let row = ConversationRow { kind, head, first, founders: 2 };
            batch.conversations.insert((Partition(p), id(c)), row);
        }
        Change::Accepted(p, u, m) => {
            let row = DecisionRow {
                conversation: id(u),
                decision: if m == 4 { Err(RejectReason::NotAuthor) } else { Ok(Sequence(m)) },
                epoch: Epoch(1),
                owner: NodeNumber(2),
            };
            batch.decisions.insert((Partition(p), UserId(u), ClientMessageId(m)), row);
        }
        Change::Member(c, u, joined, left) => {
            let left = (left > 0).then_some(Sequence(joined + left));
            batch.members.insert((id(c), UserId(u), Sequence(joined)), left);
        }
        Change::Cursor(c, u, at) => {
            let cursors = Cursors { delivered: Sequence(at), read: Sequence(at / 2) };
            batch.cursors.insert((id(c), UserId(u)), cursors);
        }
        Change::Trim(c, first) => {
            batch.trims.insert(id(c), Sequence(first));
        }
    }
}

/// Everything that a view shows, except the current conversations of users, which engines may keep
/// only for histories that can happen.
fn shown(store: &dyn MessageStore) -> String {
    let view = store.view().unwrap();
    let mut shown = String::new();
    let mut show = |what: &dyn std::fmt::Debug| writeln!(shown, "{what:?}").unwrap();
    for c in (0..4).map(ConversationId) {
        for p in (0..2).map(Partition) {
            show(&view.conversation(p, c).unwrap());
        }
        show(&view.members(c).unwrap());
        show(&view.memberships(c, UserId(2)).unwrap());
        show(&view.cursors(c).unwrap());
        show(&view.cursor(c, UserId(1)).unwrap());
        show(&view.entry(c, Sequence(3)).unwrap());
        for q in (1..9).map(Sequence) {
            show(&view.is_deleted(c, q).unwrap());
        }
        show(&view.entries(c, Sequence(0), Sequence(u64::MAX), 100).unwrap());
        show(&view.entries(c, Sequence(2), Sequence(7), 3).unwrap());
        show(&view.entries(c, Sequence(7), Sequence(2), 3).unwrap());
    }
    for p in (0..2).map(Partition) {
        show(&view.count(p).unwrap());
        for u in (1..4).map(UserId) {
            for m in (1..5).map(ClientMessageId) {
                show(&view.decision(p, u, m).unwrap());
            }
        }
    }
    shown
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn redb_shows_what_the_engine_in_memory_shows(
        batches in prop::collection::vec(
            (prop::collection::vec(change(), 1..12), any::<bool>(), any::<bool>()), 1..8)
    ) {
        let (model, engine) = (MemoryStore::default(), redb());
        let mut looking = None;
        let lease = model.acquire(Partition(0), Epoch(0)).unwrap();
        prop_assert_eq!(lease, engine.acquire(Partition(0), Epoch(0)).unwrap());
        for (changes, look, checkpoint) in &batches {
            let mut batch = WriteBatch::default();
            for change in changes {
                add(&mut batch, change);
            }
            model.commit(&[lease], &batch).unwrap();
            engine.commit(&[lease], &batch).unwrap();
            prop_assert_eq!(shown(&model), shown(&engine));
            // A view makes the next commit begin a new layer.
            looking = look.then(|| engine.view().unwrap());
            // What the last checkpoint wrote is given up when others have committed since.
            engine.release();
            prop_assert_eq!(shown(&model), shown(&engine));
            if *checkpoint {
                engine.checkpoint().unwrap();
                prop_assert_eq!(shown(&model), shown(&engine));
            }
        }
        drop(looking);
    }
}

#[test]
fn a_stale_lease_writes_nothing() {
    both(|store| {
        let old = store.acquire(Partition(1), Epoch(0)).unwrap();
        let other = store.acquire(Partition(2), Epoch(0)).unwrap();
        let new = store.acquire(Partition(1), Epoch(0)).unwrap();
        assert_eq!((old.epoch, new.epoch), (Epoch(1), Epoch(2)));
        let mut batch = WriteBatch::default();
        add(&mut batch, &Change::Entry(1, 1));
        let fenced = StoreError::Fenced { partition: Partition(1), current: Epoch(2) };
        assert_eq!(store.commit(&[other, old], &batch), Err(fenced));
        assert_eq!(store.view().unwrap().entry(ConversationId(1), Sequence(1)), Ok(None));
        store.commit(&[other, new], &batch).unwrap();
        assert!(store.view().unwrap().entry(ConversationId(1), Sequence(1)).unwrap().is_some());
    });
}

#[test]
fn a_lease_of_the_future_writes_nothing() {
    both(|store| {
        let lease = Lease { partition: Partition(1), epoch: Epoch(7) };
        let fenced = StoreError::Fenced { partition: Partition(1), current: Epoch(0) };
        assert_eq!(store.commit(&[lease], &WriteBatch::default()), Err(fenced));
    });
}

#[test]
fn an_epoch_rises_above_what_was_seen_elsewhere() {
    both(|store| {
        assert_eq!(store.acquire(Partition(1), Epoch(41)).unwrap().epoch, Epoch(42));
        assert_eq!(store.acquire(Partition(1), Epoch(5)).unwrap().epoch, Epoch(43));
    });
}

#[test]
fn a_view_stays_as_it_was() {
    let store = redb();
    let lease = store.acquire(Partition(0), Epoch(0)).unwrap();
    let view = store.view().unwrap();
    let mut batch = WriteBatch::default();
    add(&mut batch, &Change::Entry(1, 1));
    store.commit(&[lease], &batch).unwrap();
    assert_eq!(view.entry(ConversationId(1), Sequence(1)), Ok(None));
}

#[test]
fn a_user_has_the_conversations_of_the_present() {
    both(|store| {
        let lease = store.acquire(Partition(0), Epoch(0)).unwrap();
        let conversations = |user| {
            let found = store.view().unwrap().conversations_of(UserId(user)).unwrap();
            found.iter().map(|found| (found.conversation.0, found.joined.0)).collect::<Vec<_>>()
        };
        let commit = |changes: &[Change]| {
            let mut batch = WriteBatch::default();
            for change in changes {
                add(&mut batch, change);
            }
            store.commit(&[lease], &batch).unwrap();
        };
        commit(&[Change::Member(1, 1, 1, 0), Change::Member(2, 1, 3, 0)]);
        assert_eq!(conversations(1), [(1, 1), (2, 3)]);
        // Leaves at 2 and joins again at 4, in one batch.
        commit(&[Change::Member(1, 1, 1, 1), Change::Member(1, 1, 4, 0)]);
        assert_eq!(conversations(1), [(1, 4), (2, 3)]);
        commit(&[Change::Member(2, 1, 3, 2)]);
        assert_eq!(conversations(1), [(1, 4)]);
        assert_eq!(conversations(2), []);
    });
}
