//! Batches that are drawn at random, and everything that an engine shows of them.

use super::{OTHER, PARTITION, acquire};
use crate::engine::MemoryStore;
use ports::message_store::{Batch, ConversationRow, Cursors, DecisionRow, Keys, MessageStore};
use proptest::prelude::*;
use protocol::store_calls::ConversationKind;
use protocol::{
    ClientMessageId, Content, ConversationId, Entry, Epoch, NodeNumber, Partition, RejectReason,
    Sequence, UserId,
};
use std::fmt::Write;
use std::sync::Arc;

/// A change to some small set of rows, so that batches meet.
#[derive(Clone, Debug)]
pub enum Change {
    Entry(u64, u64),
    Deletion(u64, u64),
    Conversation(u64, u64, u64),
    Decided(u64, u64),
    Member(u64, u64, u64, u64),
    Cursor(u64, u64, u64),
    Trim(u64, u64),
}

fn change() -> impl Strategy<Value = Change> {
    let (small, user) = (0_u64..4, 1_u64..4);
    prop_oneof![
        (small.clone(), 1_u64..9).prop_map(|(c, q)| Change::Entry(c, q)),
        (small.clone(), 1_u64..9).prop_map(|(c, q)| Change::Deletion(c, q)),
        (small.clone(), 0_u64..9, 1_u64..9)
            .prop_map(|(c, head, first)| Change::Conversation(c, head, first)),
        (user.clone(), 1_u64..5).prop_map(|(u, m)| Change::Decided(u, m)),
        (small.clone(), user.clone(), 1_u64..5, 0_u64..3)
            .prop_map(|(c, u, joined, left)| Change::Member(c, u, joined, left)),
        (small.clone(), user, 0_u64..9).prop_map(|(c, u, at)| Change::Cursor(c, u, at)),
        (small, 0_u64..9).prop_map(|(c, first)| Change::Trim(c, first)),
    ]
}

fn add(batch: &mut Batch, change: &Change) {
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
        Change::Conversation(c, head, first) => {
            let (head, first) = (Sequence(head), Sequence(first));
            let kind = if c % 2 == 0 { ConversationKind::Direct } else { ConversationKind::Group };
            let row = ConversationRow { kind, head, first, founders: 2 };
            batch.conversations.insert(id(c), row);
        }
        Change::Decided(u, m) => {
            let row = DecisionRow {
                conversation: id(u),
                decision: if m == 4 { Err(RejectReason::NotAuthor) } else { Ok(Sequence(m)) },
                epoch: Epoch(1),
                owner: NodeNumber(2),
            };
            batch.decisions.insert((UserId(u), ClientMessageId(m)), row);
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

/// The conversations of a partition: no two partitions share one.
pub fn of(partition: Partition) -> std::ops::Range<u64> {
    let first = u64::from(partition.0) * 4;
    first..first + 4
}

/// Everything that an engine shows, except the current conversations of users, which engines may keep
/// only for histories that can happen.
fn shown(store: &dyn MessageStore) -> String {
    let view = store.view().unwrap();
    let owned = [PARTITION, OTHER].map(|partition| view.ownership(partition).unwrap());
    format!("{owned:?}\n{}", rows_shown(store))
}

/// The same without who owns what: an engine of one process forgets its owners with it.
pub fn rows_shown(store: &dyn MessageStore) -> String {
    let view = store.view().unwrap();
    let mut shown = String::new();
    let mut show = |what: &dyn std::fmt::Debug| writeln!(shown, "{what:?}").unwrap();
    for p in [PARTITION, OTHER] {
        show(&view.count(p).unwrap());
        for (from, limit) in [(0, 100), (of(p).start, 2), (of(p).start + 1, 2), (u64::MAX, 1)] {
            show(&view.conversations(p, ConversationId(from), limit).unwrap());
        }
        let mut keys = Keys::default();
        for c in of(p).map(ConversationId) {
            show(&view.conversation(p, c).unwrap());
            show(&view.members(p, c).unwrap());
            show(&view.memberships(p, c, UserId(2)).unwrap());
            show(&view.cursors(p, c).unwrap());
            show(&view.cursor(p, c, UserId(1)).unwrap());
            for q in (1..9).map(Sequence) {
                show(&(view.entry(p, c, q).unwrap(), view.is_deleted(p, c, q).unwrap()));
            }
            for (after, before, limit) in [(0, u64::MAX, 100), (2, 7, 3), (7, 2, 3)] {
                show(&view.entries(p, c, Sequence(after), Sequence(before), limit).unwrap());
            }
            keys.conversations.insert(c);
            keys.entries.insert((c, Sequence(4)));
            keys.cursors.insert((c, UserId(3)));
        }
        for (u, m) in (1..4).flat_map(|u| (1..5).map(move |m| (UserId(u), ClientMessageId(m)))) {
            show(&view.decision(p, u, m).unwrap());
            keys.decisions.insert((u, m));
        }
        show(&store.prefetch(&[(p, keys)]).unwrap());
    }
    shown
}

fn moved(change: &Change, partition: Partition) -> Change {
    let by = of(partition).start;
    match change.clone() {
        Change::Entry(c, q) => Change::Entry(c + by, q),
        Change::Deletion(c, q) => Change::Deletion(c + by, q),
        Change::Conversation(c, head, first) => Change::Conversation(c + by, head, first),
        Change::Member(c, u, joined, left) => Change::Member(c + by, u, joined, left),
        Change::Cursor(c, u, at) => Change::Cursor(c + by, u, at),
        Change::Trim(c, first) => Change::Trim(c + by, first),
        decided @ Change::Decided(..) => decided,
    }
}

/// A batch of changes, moved to the conversations of a partition.
pub fn batch(changes: &[Change], partition: Partition) -> Batch {
    let mut batch = Batch::default();
    for change in changes {
        add(&mut batch, &moved(change, partition));
    }
    batch
}

/// Groups of batches, as `batches` draws them, on two engines: after each, both show the same. `between`
/// is called before each look.
pub fn compare<E: MessageStore>(
    engine: &E,
    groups: &[[Vec<Change>; 2]],
    mut between: impl FnMut(&E),
) -> Result<(), TestCaseError> {
    let model = MemoryStore::default();
    let leases = [PARTITION, OTHER].map(|partition| {
        let lease = acquire(&model, partition);
        assert_eq!(lease, acquire(engine, partition));
        lease
    });
    for group in groups {
        let both = leases.iter().zip(group);
        let group: Vec<_> =
            both.map(|(lease, changes)| (*lease, batch(changes, lease.partition))).collect();
        prop_assert_eq!(model.commit(&group), Ok(Vec::new()));
        prop_assert_eq!(engine.commit(&group), Ok(Vec::new()));
        prop_assert_eq!(shown(&model), shown(engine));
        between(engine);
        prop_assert_eq!(shown(&model), shown(engine));
    }
    Ok(())
}

/// What `compare` commits.
pub fn groups() -> impl Strategy<Value = Vec<[Vec<Change>; 2]>> {
    let changes = || prop::collection::vec(change(), 0..9);
    prop::collection::vec((changes(), changes()).prop_map(|(a, b)| [a, b]), 1..7)
}
