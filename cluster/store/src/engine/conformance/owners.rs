//! Who may write: claims, renewals, and owners that race.

use super::{NODE, OTHER, PARTITION, acquire};
use ports::message_store::{
    Batch, Claim, ConversationRow, Fenced, Lease, MessageStore, Ownership, StoreError,
};
use protocol::store_calls::ConversationKind;
use protocol::{
    ClientMessageId, Content, ConversationId, Entry, Epoch, NodeNumber, Sequence, UserId,
};
use std::sync::Arc;

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

/// How many nodes want it.
const CLAIMANTS: u16 = 6;

pub fn of_many_claims_one_succeeds(store: &dyn MessageStore) {
    for round in 0..10 {
        let seen = store.view().unwrap().ownership(PARTITION).unwrap();
        let claim = |node| Claim { partition: PARTITION, owner: NodeNumber(node), seen };
        let leases: Vec<(u16, Lease)> = std::thread::scope(|scope| {
            let claimants: Vec<_> = (1..=CLAIMANTS)
                .map(|node| {
                    (node, scope.spawn(move || persistently(|| store.acquire(&claim(node)))))
                })
                .collect();
            let ended = claimants.into_iter().map(|(node, it)| (node, it.join().unwrap()));
            ended.filter_map(|(node, lease)| Some((node, lease?))).collect()
        });
        let [(node, lease)] = leases[..] else {
            panic!("in round {round} the partition was given to {leases:?}");
        };
        let now = store.view().unwrap().ownership(PARTITION).unwrap();
        assert_eq!((now.owner, now.epoch), (NodeNumber(node), lease.epoch));
        assert_eq!(lease.epoch, seen.epoch.next());
    }
}

/// Again while the engine says that it cannot work now, as callers do.
fn persistently<T>(call: impl Fn() -> Result<T, StoreError>) -> T {
    const ATTEMPTS: usize = 100;
    for _ in 0..ATTEMPTS {
        match call() {
            Ok(done) => return done,
            // A claim of unknown outcome fails when it is made again; the owner then looks again.
            Err(StoreError::Unavailable(_) | StoreError::Unknown(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    panic!("the engine did not work {ATTEMPTS} times in a row");
}

const CONVERSATION: ConversationId = ConversationId(5);
/// Accepted writes of each of the owners that race.
const WRITES: u64 = 40;

pub fn owners_that_race_leave_no_gap(store: &dyn MessageStore) {
    owners_of_two_engines_leave_no_gap([store, store]);
}

/// The same of two engines over the same rows, each of a node of its own.
pub fn owners_of_two_engines_leave_no_gap([store, other]: [&dyn MessageStore; 2]) {
    let accepted: Vec<(Sequence, Lease)> = std::thread::scope(|scope| {
        let owners = [
            scope.spawn(move || race(store, NodeNumber(1))),
            scope.spawn(move || race(other, NodeNumber(2))),
        ];
        owners.into_iter().flat_map(|owner| owner.join().unwrap()).collect()
    });
    let view = store.view().unwrap();
    let row = view.conversation(PARTITION, CONVERSATION).unwrap().expect("it was written");
    assert_eq!(row.head, Sequence(2 * WRITES), "each accepted write has a place of its own");
    let all =
        view.entries(PARTITION, CONVERSATION, Sequence(0), Sequence(u64::MAX), 1_000).unwrap();
    let sequences: Vec<u64> = all.iter().map(|entry| entry.sequence.0).collect();
    assert_eq!(sequences, (1..=2 * WRITES).collect::<Vec<_>>(), "gapless");
    assert!(all.windows(2).all(|two| two[0].epoch <= two[1].epoch), "an older owner wrote later");
    for (sequence, lease) in accepted {
        let entry = &all[sequence.0 as usize - 1];
        assert_eq!(entry.epoch, lease.epoch, "the entry of another owner is at {sequence}");
    }
}

/// An owner that takes the partition whenever it has lost it; what was accepted under which lease.
fn race(store: &dyn MessageStore, node: NodeNumber) -> Vec<(Sequence, Lease)> {
    let mut accepted = Vec::new();
    let mut lease: Option<Lease> = None;
    let mut head = Sequence(0);
    while (accepted.len() as u64) < WRITES {
        let Some(held) = lease else {
            let seen = persistently(|| store.view()?.ownership(PARTITION));
            let claim = Claim { partition: PARTITION, owner: node, seen };
            lease = persistently(|| store.acquire(&claim));
            // What the owner before has committed is seen only after its lease was fenced off.
            let row = persistently(|| store.view()?.conversation(PARTITION, CONVERSATION));
            head = row.map_or(Sequence(0), |row| row.head);
            continue;
        };
        let next = head.next();
        if persistently(|| store.commit(&[(held, one_entry(held, node, next))])).is_empty() {
            accepted.push((next, held));
            head = next;
        } else {
            lease = None;
        }
    }
    accepted
}

fn one_entry(lease: Lease, owner: NodeNumber, sequence: Sequence) -> Batch {
    let entry = Entry {
        conversation: CONVERSATION,
        sequence,
        epoch: lease.epoch,
        owner,
        author: UserId(u64::from(owner.0)),
        client_message_id: ClientMessageId(sequence.0),
        at_ms: 0,
        content: Content::Message { body: format!("{owner}"), reply_to: None },
    };
    let row = ConversationRow {
        kind: ConversationKind::Group,
        head: sequence,
        first: Sequence(1),
        founders: 2,
    };
    let mut batch = Batch::default();
    batch.entries.insert((CONVERSATION, sequence), Arc::new(entry));
    batch.conversations.insert(CONVERSATION, row);
    batch
}
