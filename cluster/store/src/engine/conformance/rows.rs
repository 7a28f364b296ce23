//! What becomes of leases and rows.

use super::changes::{Change, batch, compare, groups, of, rows_shown};
use super::{NODE, OTHER, PARTITION, acquire};
use ports::message_store::{Batch, Fenced, Keys, Lease, MessageStore, Ownership, Span, Standing};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use protocol::{ClientMessageId, ConversationId, Entry, Epoch, Partition, Sequence, UserId};

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

pub fn a_user_has_the_conversations_of_the_present(store: &dyn MessageStore) {
    let lease = acquire(store, Partition(0));
    let conversations = |user| {
        let found = store
            .view()
            .unwrap()
            .conversations_of(&[UserId(user)], &[Partition(0)].into())
            .unwrap();
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

pub fn of_many_batches_the_fenced_ones_alone_are_left_out(store: &dyn MessageStore) {
    let partitions: Vec<Partition> = (0..8).map(Partition).collect();
    let old: Vec<Lease> = partitions.iter().map(|it| acquire(store, *it)).collect();
    let is_stale = |partition: Partition| partition.0 % 2 == 1;
    let stale = partitions.iter().filter(|it| is_stale(**it));
    let stale: Vec<Partition> = stale.copied().collect();
    for partition in &stale {
        acquire(store, *partition);
    }
    let rows = |lease: &Lease| (*lease, batch(&[Change::Entry(0, 1)], lease.partition));
    let fenced = store.commit(&old.iter().map(rows).collect::<Vec<_>>()).unwrap();
    let mut left_out: Vec<Partition> = fenced.iter().map(|it| it.partition).collect();
    left_out.sort_unstable();
    assert_eq!(left_out, stale);
    assert!(fenced.iter().all(|it| it.current.epoch == Epoch(2)), "{fenced:?}");
    let view = store.view().unwrap();
    for partition in partitions {
        let id = ConversationId(of(partition).start);
        let entry = view.entry(partition, id, Sequence(1)).unwrap();
        assert_eq!(entry.is_none(), is_stale(partition), "{partition}");
    }
}

pub fn two_batches_under_one_lease_are_written_in_their_order(store: &dyn MessageStore) {
    let lease = acquire(store, PARTITION);
    let changes = [
        [Change::Conversation(0, 3, 1), Change::Entry(0, 1), Change::Trim(0, 2)],
        [Change::Conversation(0, 4, 1), Change::Entry(0, 1), Change::Entry(0, 4)],
    ];
    let both = changes.map(|changes| (lease, batch(&changes, PARTITION)));
    assert_eq!(store.commit(&both), Ok(Vec::new()));
    let view = store.view().unwrap();
    let id = ConversationId(of(PARTITION).start);
    assert_eq!(view.conversation(PARTITION, id).unwrap().map(|row| row.head), Some(Sequence(4)));
    let kept = view.entries(PARTITION, id, Sequence(0), Sequence(9), 9).unwrap();
    assert_eq!(kept.iter().map(|entry| entry.sequence.0).collect::<Vec<_>>(), [1, 4]);
}

pub fn the_same_batch_again_changes_nothing(store: &dyn MessageStore) {
    let lease = acquire(store, PARTITION);
    let changes = [
        Change::Conversation(1, 5, 2),
        Change::Entry(1, 1),
        Change::Entry(1, 5),
        Change::Deletion(1, 5),
        Change::Decided(2, 3),
        Change::Member(1, 2, 1, 0),
        Change::Cursor(1, 2, 4),
        Change::Trim(1, 2),
    ];
    let rows = [(lease, batch(&changes, PARTITION))];
    assert_eq!(store.commit(&rows), Ok(Vec::new()));
    let once = rows_shown(store);
    assert_eq!(store.commit(&rows), Ok(Vec::new()));
    assert_eq!(rows_shown(store), once);
}

pub fn a_large_batch_is_written_whole(store: &dyn MessageStore) {
    const ROWS: u64 = 5_000;
    let lease = acquire(store, PARTITION);
    let mut large = batch(&[Change::Conversation(0, 0, 1)], PARTITION);
    for n in 1..=ROWS {
        let more = [Change::Entry(0, n), Change::Decided(n, n), Change::Member(0, n, n, 0)];
        let Batch { entries, decisions, members, .. } = batch(&more, PARTITION);
        large.entries.extend(entries);
        large.decisions.extend(decisions);
        large.members.extend(members);
    }
    assert_eq!(store.commit(&[(lease, large)]), Ok(Vec::new()));
    let view = store.view().unwrap();
    let id = ConversationId(of(PARTITION).start);
    let all = view.entries(PARTITION, id, Sequence(0), Sequence(u64::MAX), usize::MAX).unwrap();
    assert_eq!(
        all.iter().map(|it| it.sequence.0).collect::<Vec<_>>(),
        (1..=ROWS).collect::<Vec<_>>()
    );
    assert_eq!(view.members(PARTITION, id).unwrap().len() as u64, ROWS);
    let last = view.decision(PARTITION, UserId(ROWS), ClientMessageId(ROWS)).unwrap();
    assert_eq!(last.map(|row| row.decision), Some(Ok(Sequence(ROWS))));
}

pub fn a_trim_removes_what_is_before_it(store: &dyn MessageStore) {
    let lease = acquire(store, PARTITION);
    let commit = |changes: &[Change]| {
        assert_eq!(store.commit(&[(lease, batch(changes, PARTITION))]), Ok(Vec::new()));
    };
    let deleted = (1..=6).flat_map(|q| [Change::Entry(0, q), Change::Deletion(0, q)]);
    commit(&deleted.chain([Change::Entry(1, 1)]).collect::<Vec<_>>());
    let kept = |c: u64| {
        let view = store.view().unwrap();
        let id = ConversationId(of(PARTITION).start + c);
        let entries = view.entries(PARTITION, id, Sequence(0), Sequence(99), 99).unwrap();
        let deletions =
            (1..9).filter(|q| view.is_deleted(PARTITION, id, Sequence(*q)).unwrap()).collect();
        (entries.iter().map(|entry| entry.sequence.0).collect(), deletions)
    };
    let (four, some): (Vec<u64>, Vec<u64>) = (vec![4, 5, 6], vec![1]);
    commit(&[Change::Trim(0, 4)]);
    assert_eq!(kept(0), (four.clone(), four.clone()));
    assert_eq!(kept(1), (some, Vec::new()), "another conversation");
    // What comes in the same batch and is before it goes too; one that is further back removes nothing.
    commit(&[Change::Entry(0, 3), Change::Deletion(0, 2), Change::Trim(0, 4)]);
    commit(&[Change::Trim(0, 2)]);
    assert_eq!(kept(0), (four.clone(), four));
    commit(&[Change::Entry(0, 7), Change::Entry(0, 6), Change::Trim(0, 7)]);
    assert_eq!(kept(0), (vec![7], Vec::new()));
}

pub fn a_user_has_the_conversations_of_all_partitions(store: &dyn MessageStore) {
    for partition in [PARTITION, OTHER] {
        let lease = acquire(store, partition);
        let rows = batch(&[Change::Member(0, 1, 1, 0), Change::Member(1, 2, 1, 0)], partition);
        assert_eq!(store.commit(&[(lease, rows)]), Ok(Vec::new()));
    }
    let in_these = |partitions: &[Partition]| {
        let partitions = partitions.iter().copied().collect();
        let found = store.view().unwrap().conversations_of(&[UserId(1)], &partitions).unwrap();
        found.iter().map(|found| found.conversation.0).collect::<Vec<u64>>()
    };
    let both = [PARTITION, OTHER];
    assert_eq!(in_these(&both), both.map(|partition| of(partition).start));
    assert!(in_these(&[OTHER]).contains(&of(OTHER).start), "and perhaps others");
}

/// In the order of the question, each as if it alone were asked about; who asks twice is answered twice.
pub fn many_are_asked_about_at_once(store: &dyn MessageStore) {
    for partition in [PARTITION, OTHER] {
        let lease = acquire(store, partition);
        // User 1 left at 2 and came back at 4; user 2 has cursors, and user 3 left.
        let rows = batch(
            &[
                Change::Member(0, 1, 1, 1),
                Change::Member(0, 1, 4, 0),
                Change::Member(0, 2, 1, 0),
                Change::Cursor(0, 2, 6),
                Change::Member(1, 3, 1, 2),
                Change::Entry(2, 1),
                Change::Entry(2, 2),
                Change::Entry(2, 3),
                Change::Entry(2, 4),
            ],
            partition,
        );
        assert_eq!(store.commit(&[(lease, rows)]), Ok(Vec::new()));
    }
    let at = |partition: Partition, c: u64, user| {
        (partition, ConversationId(of(partition).start + c), UserId(user))
    };
    let asked = [
        at(OTHER, 0, 2),
        at(PARTITION, 0, 1),
        at(PARTITION, 1, 3),
        at(PARTITION, 1, 1),
        at(OTHER, 0, 2),
    ];
    let view = store.view().unwrap();
    let standings = view.standings(&asked).unwrap();
    for ((partition, conversation, user), standing) in asked.into_iter().zip(&standings) {
        let memberships = view.memberships(partition, conversation, user).unwrap();
        let cursors = view.cursor(partition, conversation, user).unwrap().unwrap_or_default();
        assert_eq!(*standing, Standing { memberships, cursors });
    }
    let seen: Vec<_> =
        standings.iter().map(|it| (it.memberships.len(), it.cursors.delivered.0)).collect();
    assert_eq!(seen, [(1, 6), (2, 0), (1, 0), (0, 0), (1, 6)]);
    assert_eq!(view.standings(&[]), Ok(Vec::new()));
    let span = |partition, c: u64, (after, before, limit)| Span {
        partition,
        conversation: ConversationId(of(partition).start + c),
        after: Sequence(after),
        before: Sequence(before),
        limit,
    };
    let spans = [
        span(OTHER, 2, (1, 4, 9)),
        span(PARTITION, 2, (0, u64::MAX, 2)),
        span(PARTITION, 3, (0, 9, 9)),
        span(OTHER, 2, (0, 9, 0)),
        span(OTHER, 2, (1, 4, 9)),
    ];
    let found = view.entries_of(&spans).unwrap();
    let sequences = |entries: &Vec<Entry>| entries.iter().map(|it| it.sequence.0).collect();
    let found: Vec<Vec<u64>> = found.iter().map(sequences).collect();
    assert_eq!(found, [vec![2, 3], vec![1, 2], vec![], vec![], vec![2, 3]]);
    assert_eq!(view.entries_of(&[]), Ok(Vec::new()));
    let found =
        view.conversations_of(&[3, 1, 9, 2].map(UserId), &[PARTITION, OTHER].into()).unwrap();
    let mut found: Vec<_> =
        found.iter().map(|it| (it.user.0, it.conversation.0, it.joined.0)).collect();
    found.sort_unstable();
    let first = [PARTITION, OTHER].map(|partition| of(partition).start);
    let (one, two) = (first.map(|id| (1, id, 4)), first.map(|id| (2, id, 1)));
    assert_eq!(found, [one, two].concat());
    assert_eq!(view.conversations_of(&[], &[PARTITION].into()), Ok(Vec::new()));
}

/// Numbers of clients are checked at the gateways, and what is refused for good is kept with the number
/// that it named.
pub fn the_largest_numbers_are_kept(store: &dyn MessageStore) {
    let lease = acquire(store, PARTITION);
    let mut rows = batch(&[Change::Decided(1, 4)], PARTITION);
    let decided: Vec<_> = std::mem::take(&mut rows.decisions).into_values().collect();
    let key = (UserId(u64::MAX), ClientMessageId(u64::MAX));
    let mut row = decided[0];
    row.conversation = ConversationId(u64::MAX);
    rows.decisions.insert(key, row);
    assert_eq!(store.commit(&[(lease, rows)]), Ok(Vec::new()));
    let found = store.view().unwrap().decision(PARTITION, key.0, key.1);
    assert_eq!(found, Ok(Some(row)));
    let conversations = [ConversationId(u64::MAX)].into();
    let keys = Keys { decisions: [key].into(), conversations, ..Keys::default() };
    let rows = store.prefetch(&[(PARTITION, keys)]).unwrap().remove(0);
    assert_eq!(rows.decisions.get(&key), Some(&row));
    assert!(rows.conversations.is_empty());
}
