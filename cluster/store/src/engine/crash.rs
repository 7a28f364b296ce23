//! No power loss, at whatever change to the disk, costs a committed row or leaves half a batch.

use super::RedbStore;
use super::conformance::acquire;
use super::{OpenError, Place};
use fakes::{Failure, FakeDisk, Rot};
use ports::Disk;
use ports::message_store::{
    Batch, Claim, ConversationRow, Cursors, DecisionRow, Lease, MessageStore, Ownership, StoreError,
};
use protocol::design::Fsync;
use protocol::limits::StoreLimits;
use protocol::mix::SplitMix;
use protocol::store_calls::ConversationKind;
use protocol::{
    ClientMessageId, Content, ConversationId, Entry, Epoch, NodeNumber, Partition, Sequence, UserId,
};
use std::sync::Arc;

const PLACE: Place = Place { number: NodeNumber(1), stores: 2, partitions: 8 };
const PARTITION: Partition = Partition(3);
const CONVERSATION: ConversationId = ConversationId(9);
const AUTHOR: UserId = UserId(5);
const BATCHES: u64 = 12;
/// Entries of one batch: enough text to touch several pages.
const ENTRIES: u64 = 7;

/// Numbers of a seed, so that every run draws the same numbers.
fn stream(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut random = SplitMix::new(seed);
    move |bound| random.below(bound)
}

/// Batch `n` brings the sequences `n * ENTRIES + 1 ..= (n + 1) * ENTRIES` and everything about them;
/// the last one is deleted at once.
fn batch(n: u64, epoch: Epoch) -> Batch {
    let mut batch = Batch::default();
    let head = Sequence((n + 1) * ENTRIES);
    for sequence in (n * ENTRIES + 1..=head.0).map(Sequence) {
        let entry = Entry {
            conversation: CONVERSATION,
            sequence,
            epoch,
            owner: NodeNumber(1),
            author: AUTHOR,
            client_message_id: ClientMessageId(sequence.0),
            at_ms: 0,
            content: Content::Message { body: "x".repeat(900), reply_to: None },
        };
        batch.entries.insert((CONVERSATION, sequence), Arc::new(entry));
        let (conversation, decision) = (CONVERSATION, Ok(sequence));
        let row = DecisionRow { conversation, decision, epoch, owner: NodeNumber(1) };
        batch.decisions.insert((AUTHOR, ClientMessageId(sequence.0)), row);
    }
    batch.deletions.insert((CONVERSATION, head));
    let row =
        ConversationRow { kind: ConversationKind::Group, head, first: Sequence(1), founders: 1 };
    batch.conversations.insert(CONVERSATION, row);
    batch.cursors.insert((CONVERSATION, AUTHOR), Cursors { delivered: head, read: head });
    batch
}

/// How many batches were committed before the power failed, and the newest epoch.
fn work(disk: &FakeDisk, fsync: Fsync) -> Result<(u64, Epoch), (u64, Epoch)> {
    let (mut committed, mut epoch) = (0, Epoch(0));
    let run = |committed: &mut u64, epoch: &mut Epoch| -> Result<(), OpenError> {
        let store =
            RedbStore::open_at(Arc::new(disk.clone()), fsync, PLACE, StoreLimits::default())?;
        let (partition, owner) = (PARTITION, NodeNumber(1));
        let seen = Ownership::default();
        let claim = Claim { partition, owner, seen };
        let lease = store.acquire(&claim)?.expect("nobody else is here");
        *epoch = lease.epoch;
        for n in 0..BATCHES {
            store.commit(&[(lease, batch(n, lease.epoch))])?;
            *committed = n + 1;
            if n % 4 == 2 {
                store.checkpoint()?;
                store.release();
            }
        }
        Ok(())
    };
    match run(&mut committed, &mut epoch) {
        Ok(()) => Ok((committed, epoch)),
        Err(_) => Err((committed, epoch)),
    }
}

/// Opens what is left and counts the batches in it; every one is there as a whole.
fn recovered(disk: &FakeDisk, acquired: Epoch) -> u64 {
    let store =
        RedbStore::open_at(Arc::new(disk.clone()), Fsync::Always, PLACE, StoreLimits::default());
    let store = store.expect("it opens again");
    let head = batches(&store).expect("readable");
    let lease = acquire(&store, PARTITION);
    assert!(lease.epoch > acquired, "{lease:?} after {acquired}");
    let stale = Lease { partition: PARTITION, epoch: acquired };
    let fenced = store.commit(&[(stale, batch(head, acquired))]).expect("an answer");
    assert_eq!(fenced.len(), 1, "{fenced:?}");
    let fenced = store.commit(&[(lease, batch(head, lease.epoch))]);
    assert_eq!(fenced, Ok(Vec::new()), "it goes on");
    head
}

/// Counts the batches in a store; every one is there as a whole.
fn batches(store: &RedbStore) -> Result<u64, StoreError> {
    let view = store.view()?;
    let head = view.conversation(PARTITION, CONVERSATION)?.map_or(Sequence(0), |row| row.head);
    let entries = view.entries(PARTITION, CONVERSATION, Sequence(0), Sequence(u64::MAX), 10_000)?;
    let sequences: Vec<u64> = entries.iter().map(|entry| entry.sequence.0).collect();
    assert_eq!(sequences, (1..=head.0).collect::<Vec<_>>(), "gapless up to the head");
    for entry in &entries {
        let written = batch((entry.sequence.0 - 1) / ENTRIES, entry.epoch);
        assert_eq!(written.entries[&(CONVERSATION, entry.sequence)].content, entry.content);
        let accepted = view.decision(PARTITION, AUTHOR, entry.client_message_id)?.expect("there");
        assert_eq!(accepted.decision, Ok(entry.sequence));
        let deleted = view.is_deleted(PARTITION, CONVERSATION, entry.sequence)?;
        assert_eq!(deleted, entry.sequence.0 % ENTRIES == 0, "{}", entry.sequence);
    }
    let cursor = view.cursor(PARTITION, CONVERSATION, AUTHOR)?.unwrap_or_default();
    assert_eq!(cursor.delivered, head);
    assert_eq!(head.0 % ENTRIES, 0, "half a batch");
    Ok(head.0 / ENTRIES)
}

/// What happens to the files of a store while nobody uses it is said when it is opened, or when it is
/// read; never is something missing in silence.
#[test]
fn no_damage_costs_a_row_in_silence() {
    let (mut refused, mut noticed, mut harmless) = (0, 0, 0);
    for seed in 0..4 {
        let disk = FakeDisk::default();
        if seed > 1 {
            disk.power_off_after(100 + seed * 60);
        }
        let (committed, acquired) = work(&disk, Fsync::Always).unwrap_or_else(|early| early);
        let disk = disk.after_power_loss(&mut stream(seed));
        if seed == 0 {
            // Closed cleanly: nothing is read before somebody asks for it.
            RedbStore::open(Arc::new(disk.clone()), Fsync::Always).unwrap().close().unwrap();
        }
        for rot in Rot::every_kind(&disk, 60, seed) {
            let Some(rotten) = rot.befalls(&disk) else { continue };
            let before = rotten.everything();
            let open = || {
                RedbStore::open_at(
                    Arc::new(rotten.clone()),
                    Fsync::Always,
                    PLACE,
                    StoreLimits::default(),
                )
            };
            let is_damage = |error: &StoreError| matches!(error, StoreError::Corrupt(_));
            match open() {
                Err(OpenError::Engine(error)) if is_damage(&error) => {
                    assert!(rotten.everything() == before, "{rot:?}: changed, and {error}");
                    refused += 1;
                }
                Err(error) => panic!("{rot:?}: {error}"),
                Ok(store) => match batches(&store) {
                    Ok(found) => {
                        assert!(found >= committed, "{rot:?}: {found} of {committed}");
                        drop(store);
                        recovered(&rotten, acquired);
                        harmless += 1;
                    }
                    Err(error) => {
                        assert!(is_damage(&error), "{rot:?}: {error}");
                        noticed += 1;
                    }
                },
            }
        }
    }
    let all = format!("{refused} refused, {noticed} noticed by a read, {harmless} harmless");
    // With debug assertions redb reads all pages when it opens a database: then nothing is left to notice.
    assert!(refused + noticed > 400 && harmless > 100, "{all}");
}

#[test]
fn a_power_loss_at_any_change_loses_no_committed_row() {
    let whole = FakeDisk::default();
    assert_eq!(work(&whole, Fsync::Always), Ok((BATCHES, Epoch(1))));
    let (mut lost_work, mut kept_work) = (0, 0);
    for fuse in 0..whole.changes() {
        let disk = FakeDisk::default();
        disk.power_off_after(fuse);
        // Closing may still fail after the last commit: then everything was committed.
        let (committed, epoch) = work(&disk, Fsync::Always).unwrap_or_else(|early| early);
        let left = disk.after_power_loss(&mut stream(fuse));
        let found = recovered(&left, epoch);
        assert!(found >= committed, "fuse {fuse}: {committed} committed, {found} found");
        assert!(found <= committed + 1, "fuse {fuse}: {found} found of {committed}");
        lost_work += u32::from(committed < BATCHES);
        kept_work += u32::from(committed > 0);
    }
    assert!(lost_work > 50 && kept_work > 50, "the fuse hit {lost_work} and {kept_work} times");
}

#[test]
fn two_power_losses_in_a_row_lose_no_committed_row() {
    for fuse in 0..60 {
        let disk = FakeDisk::default();
        disk.power_off_after(100 + fuse);
        let (committed, epoch) = work(&disk, Fsync::Always).unwrap_or_else(|early| early);
        let left = disk.after_power_loss(&mut stream(fuse));
        left.power_off_after(fuse);
        // The recovery itself is cut off.
        drop(RedbStore::open(Arc::new(left.clone()), Fsync::Always));
        let again = left.after_power_loss(&mut stream(fuse + 1_000));
        assert!(recovered(&again, epoch) >= committed, "fuse {fuse}");
    }
}

/// What a killed process wrote last is in the page cache, and the next process builds on it.
#[test]
fn a_power_loss_after_a_kill_loses_no_committed_row() {
    let mut cuts = std::collections::BTreeSet::new();
    for seed in 0..400 {
        let mut draw = stream(seed);
        let disk = FakeDisk::default();
        let store = RedbStore::open(Arc::new(disk.clone()), Fsync::Always).unwrap();
        let lease = acquire(&store, PARTITION);
        for n in 0..BATCHES {
            store.commit(&[(lease, batch(n, lease.epoch))]).unwrap();
        }
        let job = disk.begin_job();
        store.checkpoint().unwrap();
        disk.end_job(job);
        // Most of the header's writes are the last of the job.
        cuts.insert(disk.kill(&mut |bound| draw(bound.min(8))).cut);
        drop(store);
        disk.power_off_after(draw(8));
        drop(RedbStore::open(Arc::new(disk.clone()), Fsync::Always));
        let left = disk.after_power_loss(&mut draw);
        assert_eq!(recovered(&left, lease.epoch), BATCHES, "seed {seed}");
    }
    assert!(cuts.len() > 4, "{cuts:?}");
}

#[test]
fn without_forced_writes_a_power_loss_costs_decision_rows() {
    let disk = FakeDisk::default();
    let store = RedbStore::open(Arc::new(disk.clone()), Fsync::Never).unwrap();
    let lease = acquire(&store, PARTITION);
    for n in 0..BATCHES {
        store.commit(&[(lease, batch(n, lease.epoch))]).unwrap();
    }
    let left = disk.after_power_loss(&mut stream(1));
    assert!(recovered(&left, lease.epoch) < BATCHES);
    // An orderly end keeps everything all the same.
    store.close().unwrap();
    assert_eq!(recovered(&disk.after_power_loss(&mut stream(1)), lease.epoch), BATCHES);
}

#[test]
fn without_forced_writes_a_power_loss_leaves_a_beginning() {
    let (mut holes, mut all) = (0, 0);
    for seed in 0..60 {
        let mut disk = FakeDisk::default();
        let mut next = 0;
        for life in 0..3 {
            let store = RedbStore::open(Arc::new(disk.clone()), Fsync::Never).unwrap();
            let lease = acquire(&store, PARTITION);
            assert_eq!(lease.epoch.0, life * 2 + 1, "every life has its own epoch");
            for n in next..next + 8 {
                store.commit(&[(lease, batch(n, lease.epoch))]).unwrap();
                // Rotates the log without a look at what was forced.
                if (seed + n) % 5 == 0 {
                    store.checkpoint().unwrap();
                    store.release();
                }
            }
            drop(store);
            disk = disk.after_power_loss(&mut stream(seed * 10 + life));
            let left = RedbStore::open(Arc::new(disk.clone()), Fsync::Never).unwrap();
            drop(left);
            let found = recovered(&disk, lease.epoch);
            assert!(found <= next + 8);
            holes += u64::from(found < next + 8);
            all += 1;
            // `recovered` has committed one more.
            next = found + 1;
        }
    }
    assert!(holes > all / 4, "{holes} of {all} lost something");
}

#[test]
fn the_engine_works_again_after_an_io_error() {
    let disk = FakeDisk::default();
    let store = RedbStore::open(Arc::new(disk.clone()), Fsync::Always).unwrap();
    let lease = acquire(&store, PARTITION);
    store.commit(&[(lease, batch(0, lease.epoch))]).unwrap();
    disk.power_off_after(1);
    let error = store.commit(&[(lease, batch(1, lease.epoch))]).unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_) | StoreError::Unknown(_)), "{error:?}");
    disk.power_off_after(u64::MAX);
    store.commit(&[(lease, batch(1, lease.epoch))]).unwrap();
    drop(store);
    assert_eq!(recovered(&disk, lease.epoch), 2);
}

/// redb says it once, and then only that something has failed before.
#[test]
fn damage_does_not_pass() {
    let disk = FakeDisk::default();
    let limits = StoreLimits { cache_bytes: 0, ..StoreLimits::default() };
    let store = RedbStore::open_at(Arc::new(disk.clone()), Fsync::Always, PLACE, limits).unwrap();
    let lease = acquire(&store, PARTITION);
    store.commit(&[(lease, batch(0, lease.epoch))]).unwrap();
    store.checkpoint().unwrap();
    store.release();
    let file = Disk::open(&disk, "store.redb").unwrap();
    for at in (8_300..file.len().unwrap()).step_by(4_100) {
        file.write_at(at, b"rot").unwrap();
    }
    let is_damage = |error: &StoreError| matches!(error, StoreError::Corrupt(_));
    let first = batches(&store).unwrap_err();
    assert!(is_damage(&first), "{first}");
    store.commit(&[(lease, batch(1, lease.epoch))]).unwrap();
    for _ in 0..3 {
        assert_eq!(store.checkpoint(), Err(first.clone()));
        assert_eq!(batches(&store), Err(first.clone()));
    }
}

#[test]
fn a_group_that_failed_leaves_its_number_to_the_next() {
    let disk = FakeDisk::default();
    let store = RedbStore::open(Arc::new(disk.clone()), Fsync::Always).unwrap();
    let lease = acquire(&store, PARTITION);
    let claim = Claim { partition: Partition(4), owner: NodeNumber(1), seen: Ownership::default() };
    for failure in [Failure::Sync, Failure::Full] {
        disk.fail(Some(failure));
        assert!(matches!(store.acquire(&claim), Err(StoreError::Unknown(_))), "{failure:?}");
        disk.fail(None);
    }
    store.commit(&[(lease, batch(0, lease.epoch))]).unwrap();
    drop(store);
    assert_eq!(recovered(&disk.after_power_loss(&mut |_| 1), lease.epoch), 1);
}

#[test]
fn an_engine_that_is_dropped_writes_no_farewell() {
    let disk = FakeDisk::default();
    let store = RedbStore::open(Arc::new(disk.clone()), Fsync::Always).unwrap();
    let lease = acquire(&store, PARTITION);
    store.commit(&[(lease, batch(0, lease.epoch))]).unwrap();
    let before = disk.changes();
    drop(store);
    assert_eq!(disk.changes(), before);
    assert_eq!(recovered(&disk, lease.epoch), 1);
}
