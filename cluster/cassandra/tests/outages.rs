//! What becomes of commits and reads when Cassandra is killed, restarted, stopped, or an answer is lost on the way.
//! Against the instance of `cargo xtask engines`, which starts it again when it ends.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]
#![allow(clippy::disallowed_methods, reason = "threads of a test")]

mod proxy;
mod server;
mod support;

use cassandra::{CassandraConfig, CassandraStore, Timing};
use ports::message_store::{Batch, Lease, MessageStore, StoreError};
use protocol::{ConversationId, Sequence, UserId};
use proxy::{Mode, Proxy};
use server::{Beside, again, signal};
use std::sync::Arc;
use std::time::Duration;
use store::conformance::accidents::{PARTITION, batch, commit_through, entry, persistently, row};
use store::conformance::{OTHER, acquire};
use support::{config, keyspace, started};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

/// Commits before an accident.
const BEFORE: u64 = 50;

/// One test at a time does something to the one Cassandra. It has no poison: each has tables of its own.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::const_new(());
    ALONE.blocking_lock()
}

/// Times that make a test short.
fn hasty() -> Timing {
    Timing {
        connect: Duration::from_millis(500),
        call: Duration::from_secs(1),
        settle: Duration::from_secs(1),
        ..Timing::default()
    }
}

#[test]
fn a_killed_server_has_everything_that_was_accepted() {
    let _alone = alone();
    for _ in 0..2 {
        let config = CassandraConfig { timing: hasty(), ..config(&keyspace()) };
        let after = commit_through(&started(&config), BEFORE, || again("KILL"));
        assert!(after.unknown + after.unavailable > 0, "the kill was not noticed");
    }
}

#[test]
fn a_restart_loses_nothing() {
    let _alone = alone();
    let config = CassandraConfig { timing: hasty(), ..config(&keyspace()) };
    let after = commit_through(&started(&config), BEFORE, || again("TERM"));
    assert!(after.unknown + after.unavailable > 0, "the restart was not noticed");
}

#[test]
fn a_server_that_stands_still_holds_nobody_for_long() {
    let _alone = alone();
    let store = started(&CassandraConfig { timing: hasty(), ..config(&keyspace()) });
    let lease = acquire(&store, PARTITION);
    assert_eq!(store.commit(&[(lease, batch(lease, 1))]), Ok(Vec::new()));
    signal("STOP");
    let began = Instant::now();
    let committed = store.commit(&[(lease, batch(lease, 2))]);
    let viewed = store.view().map(|_| ());
    let renewed = store.renew(&[lease]);
    let took = began.elapsed();
    signal("CONT");
    assert!(matches!(committed, Err(StoreError::Unknown(_))), "{committed:?}");
    assert!(matches!(viewed, Err(StoreError::Unavailable(_))), "{viewed:?}");
    assert!(matches!(renewed, Err(StoreError::Unavailable(_))), "{renewed:?}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    let fenced = persistently(|| store.commit(&[(lease, batch(lease, 4))]));
    assert_eq!(fenced, []);
    let view = persistently(|| store.view());
    let is_there = |n| view.conversation(PARTITION, ConversationId(n)).unwrap().is_some();
    assert!(is_there(1) && is_there(4) && !is_there(3));
}

/// The entry of a sequence and the head of its conversation.
fn to(lease: Lease, head: u64) -> [(Lease, Batch); 1] {
    let (conversation, sequence) = (ConversationId(1), Sequence(head));
    let mut batch = Batch::default();
    batch.conversations.insert(conversation, row(sequence));
    let written = entry(lease, conversation, sequence);
    batch.entries.insert((conversation, sequence), Arc::new(written));
    [(lease, batch)]
}

fn head(store: &CassandraStore) -> Sequence {
    let view = store.view().unwrap();
    view.conversation(PARTITION, ConversationId(1)).unwrap().unwrap().head
}

fn slots(beside: &Beside, keyspace: &str) -> usize {
    beside.count(&format!("SELECT slot FROM {keyspace}.slots WHERE partition = {}", PARTITION.0))
}

#[test]
fn a_commit_that_comes_late_puts_nothing_back() {
    let _alone = alone();
    let name = keyspace();
    let proxy = Proxy::open();
    let through = CassandraConfig {
        hosts: vec![proxy.address.to_string()],
        timing: hasty(),
        ..config(&name)
    };
    let (slow, store) = (started(&through), started(&config(&name)));
    let lease = acquire(&slow, PARTITION);
    assert_eq!(slow.commit(&to(lease, 1)), Ok(Vec::new()));
    proxy.set(Mode::HoldRequests);
    let unknown = slow.commit(&to(lease, 2));
    assert!(matches!(unknown, Err(StoreError::Unknown(_))), "{unknown:?}");
    // Another life of the node: the same again, and more.
    assert_eq!(store.commit(&to(lease, 2)), Ok(Vec::new()));
    assert_eq!(store.commit(&to(lease, 3)), Ok(Vec::new()));
    let beside = Beside::open();
    let before = slots(&beside, &name);
    proxy.set(Mode::Pass);
    // What was held is carried out; then the connection answers again.
    persistently(|| slow.view().map(|_| ()));
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(slots(&beside, &name), before, "a slot was taken late");
    assert_eq!(head(&store), Sequence(3));
    assert_eq!(persistently(|| slow.commit(&to(lease, 4))), []);
    assert_eq!((head(&slow), head(&store)), (Sequence(4), Sequence(4)));
}

#[test]
fn a_commit_whose_answer_is_lost_is_found() {
    let _alone = alone();
    let name = keyspace();
    let proxy = Proxy::open();
    let timing = Timing { call: Duration::from_millis(500), ..Timing::default() };
    let hosts = vec![proxy.address.to_string()];
    let store = started(&CassandraConfig { hosts, timing, ..config(&name) });
    let lease = acquire(&store, PARTITION);
    assert_eq!(store.commit(&to(lease, 1)), Ok(Vec::new()));
    for n in 2..6 {
        proxy.set(Mode::LoseAnswers);
        let committed = std::thread::scope(|scope| {
            let committing = scope.spawn(|| store.commit(&to(lease, n)));
            std::thread::sleep(Duration::from_millis(300));
            proxy.cut();
            proxy.set(Mode::Pass);
            committing.join().unwrap()
        });
        assert_eq!(committed, Ok(Vec::new()), "it was carried out once, and is found");
        assert_eq!(head(&store), Sequence(n));
        assert_eq!(slots(&Beside::open(), &name), n as usize, "it has one slot");
    }
    let (moved, seen) = (acquire(&store, PARTITION), store.view().unwrap());
    assert_eq!(seen.ownership(PARTITION).unwrap().epoch, moved.epoch);
}

#[test]
fn a_claim_whose_answer_is_lost_is_found() {
    let _alone = alone();
    let proxy = Proxy::open();
    let timing = Timing { call: Duration::from_millis(500), ..Timing::default() };
    let hosts = vec![proxy.address.to_string()];
    let store = started(&CassandraConfig { hosts, timing, ..config(&keyspace()) });
    let seen = store.view().unwrap().ownership(PARTITION).unwrap();
    let claim =
        ports::message_store::Claim { partition: PARTITION, owner: store::conformance::NODE, seen };
    proxy.set(Mode::LoseAnswers);
    let lease = std::thread::scope(|scope| {
        let claiming = scope.spawn(|| store.acquire(&claim));
        std::thread::sleep(Duration::from_millis(300));
        proxy.cut();
        proxy.set(Mode::Pass);
        claiming.join().unwrap()
    });
    let lease = lease.unwrap().expect("it was carried out");
    assert_eq!(store.commit(&to(lease, 1)), Ok(Vec::new()));
}

/// A node died between taking a slot and writing its rows.
#[test]
fn a_slot_without_its_rows_is_read_and_continued() {
    let _alone = alone();
    let name = keyspace();
    let (store, other) = (started(&config(&name)), started(&config(&name)));
    let lease = acquire(&store, PARTITION);
    assert_eq!(store.commit(&to(lease, 1)), Ok(Vec::new()));
    drop(store);
    let [(_, mut batch)] = to(lease, 2);
    batch.members.insert((ConversationId(1), UserId(8), Sequence(2)), None);
    // The first kind of payload: the batch is there.
    let payload = [vec![0], postcard::to_stdvec(&batch).unwrap()].concat();
    Beside::open().run(
        &format!(
            "UPDATE {name}.slots SET head = 2, applied = 1, writer = 5, attempt = 5, payload = ? \
             WHERE partition = ? AND slot = 2 IF epoch = 1 AND head = 1"
        ),
        (payload, i32::from(PARTITION.0)),
    );
    let view = other.view().unwrap();
    assert_eq!(view.conversations_of(&[UserId(8)], &[PARTITION].into()).unwrap().len(), 1);
    assert_eq!(head(&other), Sequence(2));
    let third = started(&config(&name));
    let lease = acquire(&third, PARTITION);
    assert_eq!(third.commit(&to(lease, 3)), Ok(Vec::new()));
    let all =
        third.view().unwrap().entries(PARTITION, ConversationId(1), Sequence(0), Sequence(9), 9);
    assert_eq!(all.unwrap().len(), 3);
    assert_eq!(head(&other), Sequence(3));
}

/// One partition cannot be written for a while, and all batches are repeated until it can.
#[test]
fn what_is_in_place_already_is_not_written_again() {
    let _alone = alone();
    let name = keyspace();
    let (store, beside) = (started(&config(&name)), Beside::open());
    let (broken, sound) = (acquire(&store, PARTITION), acquire(&store, OTHER));
    let both = |n| [to(broken, n), to(sound, n)].concat();
    assert_eq!(store.commit(&both(1)), Ok(Vec::new()));
    let payload = |payload: &[u8]| (payload.to_vec(), i32::from(PARTITION.0));
    // A slot that nobody can read; later an empty batch.
    let taken = format!(
        "UPDATE {name}.slots SET head = 2, applied = 1, writer = 5, attempt = 5, payload = ? \
         WHERE partition = ? AND slot = 2 IF epoch = 1 AND head = 1"
    );
    beside.run(&taken, payload(&[9]));
    for _ in 0..3 {
        let failed = store.commit(&both(2));
        assert!(matches!(failed, Err(StoreError::Corrupt(_))), "{failed:?}");
    }
    let empty = [vec![0], postcard::to_stdvec(&Batch::default()).unwrap()].concat();
    let repaired = format!(
        "UPDATE {name}.slots SET payload = ? WHERE partition = ? AND slot = 2 IF attempt = 5"
    );
    beside.run(&repaired, payload(&empty));
    assert_eq!(store.commit(&both(2)), Ok(Vec::new()));
    for (partition, last) in [(PARTITION, 3), (OTHER, 2)] {
        let behind = |slot: i32| {
            let at = format!("partition = {} AND slot > {slot}", partition.0);
            beside.count(&format!("SELECT slot FROM {name}.slots WHERE {at}"))
        };
        assert_eq!((behind(last - 1), behind(last)), (1, 0), "{partition}");
    }
}

#[test]
fn a_batch_larger_than_cassandra_takes_is_written_whole() {
    let _alone = alone();
    const ENTRIES: u64 = 400;
    let name = keyspace();
    let timing = Timing { view: Duration::from_secs(2), ..Timing::default() };
    let store = started(&CassandraConfig { timing, ..config(&name) });
    let lease = acquire(&store, PARTITION);
    let [(_, mut large)] = to(lease, ENTRIES);
    for sequence in (1..=ENTRIES).map(Sequence) {
        let mut entry = entry(lease, ConversationId(1), sequence);
        let body = "x".repeat(60_000);
        entry.content = protocol::Content::Message { body, reply_to: None };
        large.entries.insert((ConversationId(1), sequence), Arc::new(entry));
    }
    assert_eq!(store.commit(&[(lease, large)]), Ok(Vec::new()));
    // Another node, which has the parts alone.
    let other = started(&config(&name));
    let found = |store: &CassandraStore| {
        let view = store.view().unwrap();
        let all = view.entries(PARTITION, ConversationId(1), Sequence(0), Sequence(999), 999);
        all.unwrap().len() as u64
    };
    assert_eq!((found(&store), found(&other)), (ENTRIES, ENTRIES));
    assert_eq!(store.commit(&to(lease, ENTRIES + 1)), Ok(Vec::new()));
    let beside = Beside::open();
    let parts = format!("SELECT a FROM {name}.rows WHERE kind = 9 ALLOW FILTERING");
    assert!(beside.count(&parts) > 20, "the batch was in parts");
    assert_eq!(store.commit(&to(lease, ENTRIES + 2)), Ok(Vec::new()));
    let deadline = Instant::now() + Duration::from_secs(20);
    while beside.count(&parts) > 0 {
        assert!(Instant::now() < deadline, "its parts are left");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn what_was_replaced_is_removed_and_an_old_view_refuses() {
    let _alone = alone();
    let name = keyspace();
    let timing = Timing { view: Duration::from_millis(500), ..Timing::default() };
    let store = started(&CassandraConfig { timing, ..config(&name) });
    let lease = acquire(&store, PARTITION);
    for n in 1..=10 {
        assert_eq!(store.commit(&to(lease, n)), Ok(Vec::new()));
    }
    let beside = Beside::open();
    let versions = || {
        beside.count(&format!(
            "SELECT slot FROM {name}.rows WHERE partition = {} AND scope = 0 AND id = 1 AND kind = 0",
            PARTITION.0
        ))
    };
    assert!(versions() >= 5, "they are kept for a while");
    let old = store.view().unwrap();
    let mut trim = Batch::default();
    trim.trims.insert(ConversationId(1), Sequence(8));
    assert_eq!(store.commit(&[(lease, trim)]), Ok(Vec::new()));
    let seen = old.entries(PARTITION, ConversationId(1), Sequence(0), Sequence(99), 99);
    assert_eq!(seen.unwrap().len(), 10, "a view stays as it was");
    let entries = || {
        beside.count(&format!(
            "SELECT slot FROM {name}.rows WHERE partition = {} AND scope = 0 AND id = 1 AND kind = 1",
            PARTITION.0
        ))
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    while versions() > 1 || entries() > 3 || slots(&beside, &name) > 3 {
        let left = (versions(), entries(), slots(&beside, &name));
        assert!(Instant::now() < deadline, "{left:?} are left");
        std::thread::sleep(Duration::from_millis(100));
    }
    let refused = old.conversation(PARTITION, ConversationId(1));
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert_eq!(head(&store), Sequence(10));
    assert_eq!(persistently(|| store.commit(&to(lease, 11))), []);
    assert_eq!(head(&started(&config(&name))), Sequence(11));
}

#[test]
fn nodes_that_start_at_once_make_the_tables_once() {
    let _alone = alone();
    let config = config(&keyspace());
    std::thread::scope(|scope| {
        let nodes: Vec<_> = (0..6).map(|_| scope.spawn(|| started(&config))).collect();
        for node in nodes {
            assert!(node.join().unwrap().renew(&[]).is_ok());
        }
    });
    acquire(&started(&config), PARTITION);
}

#[test]
fn tables_of_another_cluster_are_not_touched() {
    let _alone = alone();
    let config = config(&keyspace());
    drop(started(&config));
    let refused = |config: &CassandraConfig| {
        let store = CassandraStore::start(config.clone(), 1).unwrap();
        let StoreError::Corrupt(why) = store.view().map(|_| ()).unwrap_err() else {
            panic!("it was opened")
        };
        why
    };
    let why = refused(&CassandraConfig { partitions: 8, ..config.clone() });
    assert!(why.contains("made for 16 partitions, and opened for 8"), "{why}");
    let later =
        format!("UPDATE {}.facts SET value = 99 WHERE name = 'version' IF EXISTS", config.keyspace);
    Beside::open().run(&later, ());
    let why = refused(&config);
    assert!(why.contains("the tables have version 99"), "{why}");
}

#[test]
fn without_a_server_everything_ends_in_time() {
    let mut config = CassandraConfig { timing: hasty(), ..config(&keyspace()) };
    let refused = |config: &CassandraConfig| {
        let store = CassandraStore::start(config.clone(), 1).unwrap();
        let began = Instant::now();
        let lease = Lease { partition: PARTITION, epoch: protocol::Epoch(1) };
        let committed = store.commit(&[(lease, batch(lease, 1))]);
        assert!(matches!(committed, Err(StoreError::Unavailable(_))), "{committed:?}");
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    };
    // Nobody listens.
    config.hosts = vec!["127.0.0.1:1".into()];
    refused(&config);
    // Takes connections and says nothing.
    let dumb = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    config.hosts = vec![dumb.local_addr().unwrap().to_string()];
    refused(&config);
}
