//! Commits around an accident of a server that keeps the rows, and what is left of them.

use super::acquire;
use ports::message_store::{Batch, ConversationRow, Lease, MessageStore, StoreError};
use protocol::store_calls::ConversationKind;
use protocol::{
    ClientMessageId, Content, ConversationId, Entry, NodeNumber, Partition, Sequence, UserId,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

pub const PARTITION: Partition = Partition(3);
const AUTHOR: UserId = UserId(5);
/// Entries of a batch.
const ENTRIES: u64 = 8;

/// Batch `n`, of a conversation of its own.
pub fn batch(lease: Lease, n: u64) -> Batch {
    let conversation = ConversationId(n);
    let mut batch = Batch::default();
    for sequence in (1..=ENTRIES).map(Sequence) {
        batch
            .entries
            .insert((conversation, sequence), Arc::new(entry(lease, conversation, sequence)));
        batch.members.insert((conversation, UserId(sequence.0), sequence), None);
    }
    batch.conversations.insert(conversation, row(Sequence(ENTRIES)));
    batch
}

pub fn entry(lease: Lease, conversation: ConversationId, sequence: Sequence) -> Entry {
    Entry {
        conversation,
        sequence,
        epoch: lease.epoch,
        owner: NodeNumber(1),
        author: AUTHOR,
        client_message_id: ClientMessageId(sequence.0),
        at_ms: 0,
        content: Content::Message { body: "x".repeat(100), reply_to: None },
    }
}

pub fn row(head: Sequence) -> ConversationRow {
    ConversationRow { kind: ConversationKind::Group, head, first: Sequence(1), founders: 1 }
}

/// Tries until the engine works.
pub fn persistently<T>(call: impl Fn() -> Result<T, StoreError>) -> T {
    let deadline = Instant::now() + Duration::from_mins(2);
    loop {
        match call() {
            Ok(done) => return done,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What became of commits around an accident.
pub struct Aftermath {
    /// By their numbers.
    pub accepted: Vec<u64>,
    pub unknown: u64,
    pub unavailable: u64,
    pub committed: u64,
}

/// Commits one batch after another, none of them twice, while `accident` happens; then looks: what was
/// accepted is there, whole, and of the others all rows or none. `before`: so many come before the accident.
pub fn commit_through(store: &dyn MessageStore, before: u64, accident: impl FnOnce()) -> Aftermath {
    const AFTER: u64 = 20;
    let lease = acquire(store, PARTITION);
    let (count, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let mut after = Aftermath { accepted: Vec::new(), unknown: 0, unavailable: 0, committed: 0 };
    std::thread::scope(|scope| {
        let committing = scope.spawn(|| {
            let mut left = AFTER;
            let mut n = 0;
            while left > 0 {
                n += 1;
                match store.commit(&[(lease, batch(lease, n))]) {
                    Ok(fenced) => {
                        assert_eq!(fenced, []);
                        after.accepted.push(n);
                        left -= u64::from(over.load(Ordering::Relaxed));
                    }
                    Err(StoreError::Unknown(_)) => after.unknown += 1,
                    Err(StoreError::Unavailable(_)) => {
                        after.unavailable += 1;
                        std::thread::sleep(Duration::from_millis(20));
                    }
                    Err(error) => panic!("{error}"),
                }
                count.store(n, Ordering::Relaxed);
            }
            n
        });
        while count.load(Ordering::Relaxed) < before && !committing.is_finished() {
            std::thread::sleep(Duration::from_millis(1));
        }
        accident();
        over.store(true, Ordering::Relaxed);
        after.committed = committing.join().unwrap();
    });
    after.accepted.sort_unstable();
    verify(store, &after);
    after
}

fn verify(store: &dyn MessageStore, after: &Aftermath) {
    for n in 1..=after.committed {
        // One for all of them would grow too old.
        let view = persistently(|| store.view());
        let id = ConversationId(n);
        let entries = view.entries(PARTITION, id, Sequence(0), Sequence(u64::MAX), 100).unwrap();
        let members = view.members(PARTITION, id).unwrap();
        let found = view.conversation(PARTITION, id).unwrap();
        let there = if found.is_some() { ENTRIES as usize } else { 0 };
        assert_eq!((entries.len(), members.len()), (there, there), "batch {n} is there in part");
        if after.accepted.binary_search(&n).is_ok() {
            assert!(found.is_some(), "batch {n} was accepted, and is gone");
        }
    }
}
