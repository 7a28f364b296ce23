//! What every engine must do: one suite for the port. `conformance!(name, engine)` runs it; what an engine
//! shows is compared with the engine in memory, batch by batch.

use super::MemoryStore;
use ports::message_store::{
    Batch, Claim, ConversationRow, Cursors, DecisionRow, Fenced, Keys, Lease, MessageStore,
    Ownership,
};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use protocol::store_calls::ConversationKind;
use protocol::{
    ClientMessageId, Content, ConversationId, Entry, Epoch, NodeNumber, Partition, RejectReason,
    Sequence, UserId,
};
use std::fmt::Write;
use std::sync::Arc;

const PARTITION: Partition = Partition(1);
const OTHER: Partition = Partition(2);
const NODE: NodeNumber = NodeNumber(1);

/// Runs the suite against an engine: `$make` makes an empty one.
macro_rules! conformance {
    ($name:ident, $make:expr) => {
        mod $name {
            use $crate::engine::conformance as suite;
            #[test]
            fn shows_what_the_engine_in_memory_shows() {
                suite::shows_what_the_engine_in_memory_shows(&$make);
            }
            #[test]
            fn a_stale_lease_writes_nothing_and_holds_up_nobody() {
                suite::a_stale_lease_writes_nothing_and_holds_up_nobody(&$make());
            }
            #[test]
            fn a_lease_of_the_future_writes_nothing() {
                suite::a_lease_of_the_future_writes_nothing(&$make());
            }
            #[test]
            fn a_claim_upon_old_news_fails() {
                suite::a_claim_upon_old_news_fails(&$make());
            }
            #[test]
            fn only_the_owner_renews() {
                suite::only_the_owner_renews(&$make());
            }
            #[test]
            fn a_user_has_the_conversations_of_the_present() {
                suite::a_user_has_the_conversations_of_the_present(&$make());
            }
            #[test]
            fn an_accepted_key_brings_its_entry_along() {
                suite::an_accepted_key_brings_its_entry_along(&$make());
            }
        }
    };
}
pub(crate) use conformance;

conformance!(memory, super::super::MemoryStore::default);

/// Takes a partition from whoever has it.
pub fn acquire(store: &dyn MessageStore, partition: Partition) -> Lease {
    let seen = store.view().unwrap().ownership(partition).unwrap();
    let claim = Claim { partition, owner: NODE, seen };
    store.acquire(&claim).unwrap().expect("nobody else claims it")
}

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
fn of(partition: Partition) -> std::ops::Range<u64> {
    let first = u64::from(partition.0) * 4;
    first..first + 4
}

/// Everything that an engine shows, except the current conversations of users, which engines may keep
/// only for histories that can happen.
fn shown(store: &dyn MessageStore) -> String {
    let view = store.view().unwrap();
    let mut shown = String::new();
    let mut show = |what: &dyn std::fmt::Debug| writeln!(shown, "{what:?}").unwrap();
    for p in [PARTITION, OTHER] {
        show(&(view.ownership(p).unwrap(), view.count(p).unwrap()));
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

fn batch(changes: &[Change], partition: Partition) -> Batch {
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

pub fn groups() -> impl Strategy<Value = Vec<[Vec<Change>; 2]>> {
    let changes = || prop::collection::vec(change(), 0..9);
    prop::collection::vec((changes(), changes()).prop_map(|(a, b)| [a, b]), 1..7)
}

pub fn shows_what_the_engine_in_memory_shows<E: MessageStore>(make: &dyn Fn() -> E) {
    let config = ProptestConfig { cases: 24, ..ProptestConfig::default() };
    let compared =
        TestRunner::new(config).run(&groups(), |groups| compare(&make(), &groups, |_| {}));
    compared.unwrap();
}

pub fn a_stale_lease_writes_nothing_and_holds_up_nobody(store: &dyn MessageStore) {
    let old = acquire(store, PARTITION);
    let other = acquire(store, OTHER);
    let new = acquire(store, PARTITION);
    assert_eq!((old.epoch, new.epoch), (Epoch(1), Epoch(2)));
    let rows = |lease: Lease| (lease, batch(&[Change::Entry(1, 1)], lease.partition));
    let current = Ownership { owner: NODE, epoch: Epoch(2), renewals: 0 };
    let fenced = Fenced { partition: PARTITION, current };
    assert_eq!(store.commit(&[rows(old), rows(other)]), Ok(vec![fenced]));
    let is_there = |partition| {
        let id = ConversationId(of(partition).start + 1);
        store.view().unwrap().entry(partition, id, Sequence(1)).unwrap().is_some()
    };
    assert!(!is_there(PARTITION) && is_there(OTHER));
    assert_eq!(store.commit(&[(old, Batch::default())]), Ok(vec![fenced]), "even without rows");
    assert_eq!(store.commit(&[rows(new)]), Ok(Vec::new()));
    assert!(is_there(PARTITION));
}

pub fn a_lease_of_the_future_writes_nothing(store: &dyn MessageStore) {
    let lease = Lease { partition: PARTITION, epoch: Epoch(7) };
    let fenced = Fenced { partition: PARTITION, current: Ownership::default() };
    assert_eq!(store.commit(&[(lease, Batch::default())]), Ok(vec![fenced]));
}

pub fn a_claim_upon_old_news_fails(store: &dyn MessageStore) {
    let seen = Ownership::default();
    let claim = |node, seen| Claim { partition: PARTITION, owner: NodeNumber(node), seen };
    let first = store.acquire(&claim(1, seen)).unwrap().expect("nobody else wants it");
    assert_eq!(store.acquire(&claim(2, seen)), Ok(None), "the other was faster");
    let seen = store.view().unwrap().ownership(PARTITION).unwrap();
    assert_eq!(seen, Ownership { owner: NodeNumber(1), epoch: Epoch(1), renewals: 0 });
    assert_eq!(store.renew(&[first]), Ok(Vec::new()));
    assert_eq!(store.acquire(&claim(2, seen)), Ok(None), "the owner lives");
    let seen = store.view().unwrap().ownership(PARTITION).unwrap();
    let lease = store.acquire(&claim(2, seen)).unwrap().expect("nothing has changed");
    assert_eq!(lease.epoch, Epoch(2));
}

pub fn only_the_owner_renews(store: &dyn MessageStore) {
    let (old, other) = (acquire(store, PARTITION), acquire(store, OTHER));
    let new = acquire(store, PARTITION);
    let current = Ownership { owner: NODE, epoch: Epoch(2), renewals: 0 };
    let fenced = Fenced { partition: PARTITION, current };
    assert_eq!(store.renew(&[old, other]), Ok(vec![fenced]));
    assert_eq!(store.renew(&[new, other]), Ok(Vec::new()));
    let renewals = |partition| store.view().unwrap().ownership(partition).unwrap().renewals;
    assert_eq!((renewals(PARTITION), renewals(OTHER)), (1, 2));
}

pub fn a_user_has_the_conversations_of_the_present(store: &dyn MessageStore) {
    let lease = acquire(store, Partition(0));
    let conversations = |user| {
        let found = store.view().unwrap().conversations_of(UserId(user)).unwrap();
        found.iter().map(|found| (found.conversation.0, found.joined.0)).collect::<Vec<_>>()
    };
    let commit = |changes: &[Change]| {
        let committed = store.commit(&[(lease, batch(changes, Partition(0)))]);
        assert_eq!(committed, Ok(Vec::new()));
    };
    commit(&[Change::Member(1, 1, 1, 0), Change::Member(2, 1, 3, 0)]);
    assert_eq!(conversations(1), [(1, 1), (2, 3)]);
    // Leaves at 2 and joins again at 4, in one batch.
    commit(&[Change::Member(1, 1, 1, 1), Change::Member(1, 1, 4, 0)]);
    assert_eq!(conversations(1), [(1, 4), (2, 3)]);
    commit(&[Change::Member(2, 1, 3, 2)]);
    assert_eq!(conversations(1), [(1, 4)]);
    assert_eq!(conversations(2), []);
}

pub fn an_accepted_key_brings_its_entry_along(store: &dyn MessageStore) {
    let lease = acquire(store, Partition(0));
    // The key of user 2 for message 3 names sequence 3 of conversation 2.
    let rows = batch(&[Change::Entry(2, 3), Change::Decided(2, 3)], Partition(0));
    assert_eq!(store.commit(&[(lease, rows)]), Ok(Vec::new()));
    let keys = Keys { decisions: [(UserId(2), ClientMessageId(3))].into(), ..Keys::default() };
    let rows = store.prefetch(&[(Partition(0), keys)]).unwrap().remove(0);
    assert_eq!(rows.decisions.len(), 1);
    let brought: Vec<_> = rows.entries.into_keys().collect();
    assert_eq!(brought, [(ConversationId(2), Sequence(3))]);
}
