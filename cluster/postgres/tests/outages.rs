//! What becomes of commits and reads when PostgreSQL is killed, stopped, restarted, or slow; and what its
//! promises rest on. Against the instance of `cargo xtask engines`, which starts it again when it ends, and
//! whose own setting is `synchronous_commit = off`.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod server;
mod support;

use ports::message_store::{Batch, Lease, MessageStore, StoreError};
use postgres::{PostgresConfig, PostgresStore, Timing};
use protocol::{ConversationId, NodeNumber, Sequence};
use server::{Stopped, admin, backends, is_back, kill, signal, stop_all};
use std::sync::Arc;
use std::time::Duration;
use store::conformance::accidents::{PARTITION, batch, commit_through, entry, persistently, row};
use store::conformance::acquire;
use support::{config, schema, started, told};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

/// Commits before an accident.
const BEFORE: u64 = 100;

/// One test at a time does something to the one PostgreSQL. It has no poison: each has tables of its own.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::const_new(());
    ALONE.blocking_lock()
}

#[test]
fn a_killed_server_has_everything_that_was_accepted() {
    let _alone = alone();
    for _ in 0..3 {
        let after = commit_through(&started("outages", &config(&schema())), BEFORE, || {
            kill();
            is_back();
        });
        assert!(after.unknown + after.unavailable > 0, "the kill was not noticed");
    }
}

#[test]
fn without_waiting_for_the_disk_what_was_accepted_is_lost() {
    let _alone = alone();
    let config = PostgresConfig { synchronous_commit: false, ..config(&schema()) };
    let lost = std::panic::catch_unwind(|| {
        commit_through(&started("outages", &config), BEFORE, || {
            kill();
            is_back();
        })
    });
    let said = lost.err().expect("the bad choice shows");
    let said = said.downcast_ref::<String>().expect("a message");
    assert!(said.contains("was accepted, and is gone"), "{said}");
}

#[test]
fn a_restart_loses_nothing() {
    let _alone = alone();
    let after = commit_through(&started("outages", &config(&schema())), BEFORE, || {
        // Sessions end at once, the server writes what it has.
        signal("INT", &server::postmaster());
        is_back();
    });
    assert!(after.unknown + after.unavailable > 0, "the restart was not noticed");
}

#[test]
fn sessions_that_are_ended_lose_nothing() {
    let _alone = alone();
    let after = commit_through(&started("outages", &config(&schema())), BEFORE, || {
        for _ in 0..10 {
            admin("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'chat'");
            std::thread::sleep(Duration::from_millis(30));
        }
    });
    assert!(after.unknown > 0, "no session was ended in the middle of a commit");
}

/// Times that make a test short.
fn hasty() -> Timing {
    Timing {
        connect: Duration::from_millis(500),
        lock: Duration::from_millis(500),
        statement: Duration::from_millis(700),
        call: Duration::from_secs(1),
        ..Timing::default()
    }
}

#[test]
fn a_server_that_stands_still_holds_nobody_for_long() {
    let _alone = alone();
    let store = started("stopped", &PostgresConfig { timing: hasty(), ..config(&schema()) });
    let lease = acquire(&store, PARTITION);
    assert_eq!(store.commit(&[(lease, batch(lease, 1))]), Ok(Vec::new()));
    let stopped = stop_all();
    let began = Instant::now();
    let committed = store.commit(&[(lease, batch(lease, 2))]);
    assert!(matches!(committed, Err(StoreError::Unknown(_))), "{committed:?}");
    // Without a connection nothing is sent.
    let committed = store.commit(&[(lease, batch(lease, 3))]);
    assert!(matches!(committed, Err(StoreError::Unavailable(_))), "{committed:?}");
    let viewed = store.view().map(|_| ()).unwrap_err();
    assert!(matches!(viewed, StoreError::Unavailable(_)), "{viewed:?}");
    let renewed = store.renew(&[lease]);
    assert!(matches!(renewed, Err(StoreError::Unavailable(_))), "{renewed:?}");
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    drop(stopped);
    let fenced = persistently(|| store.commit(&[(lease, batch(lease, 4))]));
    assert_eq!(fenced, []);
    let view = persistently(|| store.view());
    let is_there = |n| view.conversation(PARTITION, ConversationId(n)).unwrap().is_some();
    assert!(is_there(1) && is_there(4) && !is_there(3));
}

#[test]
fn a_promoted_standby_has_everything_that_was_accepted() {
    let _alone = alone();
    // From here on a commit waits for the standby as well.
    let _waits = server::wait_for_standby();
    let is_synchronous = || admin("SELECT sync_state FROM pg_stat_replication") == ["sync"];
    let deadline = Instant::now() + Duration::from_mins(1);
    while !is_synchronous() {
        assert!(Instant::now() < deadline, "the standby does not follow: {}", server::standbys());
        std::thread::sleep(Duration::from_millis(50));
    }
    let mut config = PostgresConfig { timing: hasty(), ..config(&schema()) };
    config.hosts.push(told("FRACAS_POSTGRES_STANDBY"));
    let mut stopped = Stopped::default();
    let after = commit_through(&started("outages", &config), BEFORE, || {
        // The machine of the primary is gone without a word.
        stopped = stop_all();
        server::promote();
    });
    drop(stopped);
    assert!(after.unknown > 0, "the failover was not noticed");
}

/// The reason for writers' numbers (`core/writers.rs`).
#[test]
fn a_commit_that_comes_late_puts_nothing_back() {
    let _alone = alone();
    let conversation = ConversationId(1);
    let to = |lease, head: u64| {
        let mut batch = Batch::default();
        batch.conversations.insert(conversation, row(Sequence(head)));
        let written = entry(lease, conversation, Sequence(head));
        batch.entries.insert((conversation, Sequence(head)), Arc::new(written));
        [(lease, batch)]
    };
    let name = schema();
    let config = PostgresConfig { timing: hasty(), connections: 1, ..config(&schema()) };
    let store = started(&name, &config);
    let lease = acquire(&store, PARTITION);
    assert_eq!(store.commit(&to(lease, 1)), Ok(Vec::new()));
    let [late] = &backends(&name)[..] else { panic!("one connection") };
    signal("STOP", late);
    let unknown = store.commit(&to(lease, 2));
    assert!(matches!(unknown, Err(StoreError::Unknown(_))), "{unknown:?}");
    // On a new connection: the same again, and more.
    assert_eq!(store.commit(&to(lease, 2)), Ok(Vec::new()));
    assert_eq!(store.commit(&to(lease, 3)), Ok(Vec::new()));
    signal("CONT", late);
    // It carries out what is in its socket, finds that nobody is there, and ends.
    let deadline = Instant::now() + Duration::from_secs(20);
    while backends(&name).contains(late) {
        assert!(Instant::now() < deadline, "the late session does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
    let row = store.view().unwrap().conversation(PARTITION, conversation).unwrap().unwrap();
    assert_eq!(row.head, Sequence(3));
    assert_eq!(store.commit(&to(lease, 4)), Ok(Vec::new()));
}

#[test]
fn a_claim_waits_for_the_commit_under_way_and_a_renewal_does_not() {
    let _alone = alone();
    let name = schema();
    let config = PostgresConfig { timing: hasty(), ..config(&name) };
    let (store, other) = (started("owner", &config), started("standby", &config));
    let lease = acquire(&store, PARTITION);
    // A commit that has locked its lease and goes on.
    let mut holding = server::Session::open();
    holding.run(&format!(
        "BEGIN; SELECT FROM {name}.ownerships WHERE partition = {} FOR KEY SHARE",
        PARTITION.0
    ));
    assert_eq!(store.renew(&[lease]), Ok(Vec::new()));
    let seen = other.view().unwrap().ownership(PARTITION).unwrap();
    let claim = ports::message_store::Claim { partition: PARTITION, owner: NodeNumber(2), seen };
    let claimed = other.acquire(&claim);
    assert!(matches!(claimed, Err(StoreError::Unavailable(_))), "{claimed:?}");
    assert_eq!(store.commit(&[(lease, batch(lease, 1))]), Ok(Vec::new()));
    holding.run("COMMIT");
    let newer = other.acquire(&claim).unwrap().expect("nothing has changed");
    let fenced = store.commit(&[(lease, batch(lease, 2))]).unwrap();
    assert_eq!(fenced.len(), 1);
    assert_eq!(fenced[0].current.epoch, newer.epoch);
}

#[test]
fn nodes_that_start_at_once_make_the_tables_once() {
    let _alone = alone();
    let name = schema();
    let config = config(&name);
    std::thread::scope(|scope| {
        let nodes: Vec<_> = (0..6)
            .map(|n| {
                scope.spawn({
                    let config = &config;
                    move || started(&format!("node-{n}"), config)
                })
            })
            .collect();
        for node in nodes {
            let store = node.join().unwrap();
            assert!(store.renew(&[]).is_ok());
        }
    });
    let made = admin(&format!("SELECT count(*)::text FROM {name}.migrations"));
    assert_eq!(made, ["1"]);
}

#[test]
fn tables_of_another_cluster_are_not_touched() {
    let _alone = alone();
    let config = config(&schema());
    drop(started("store-1", &config));
    let other = PostgresConfig { partitions: 8, ..config.clone() };
    let refused = PostgresStore::start("store-1", &other).unwrap().view().map(|_| ()).unwrap_err();
    let StoreError::Corrupt(why) = refused else { panic!("{refused}") };
    assert!(why.contains("made for 16 partitions, and opened for 8"), "{why}");
    admin(&format!("INSERT INTO {}.migrations (version) VALUES (99)", config.schema));
    let refused = PostgresStore::start("store-1", &config).unwrap().view().map(|_| ()).unwrap_err();
    let StoreError::Corrupt(why) = refused else { panic!("{refused}") };
    assert!(why.contains("the tables have version 99"), "{why}");
}

#[test]
fn the_server_that_answers_is_found_behind_those_that_do_not() {
    let _alone = alone();
    // Takes connections and says nothing; nobody listens on the first port.
    let dumb = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let mut config = PostgresConfig { timing: hasty(), ..config(&schema()) };
    config.hosts.insert(0, dumb.local_addr().unwrap().to_string());
    config.hosts.insert(1, "127.0.0.1:1".into());
    let store = started("store-1", &config);
    acquire(&store, PARTITION);
}

#[test]
fn without_a_server_everything_ends_in_time() {
    let mut config = PostgresConfig { timing: hasty(), ..config(&schema()) };
    config.hosts = vec!["127.0.0.1:1".into()];
    let store = PostgresStore::start("store-1", &config).unwrap();
    let began = Instant::now();
    let lease = Lease { partition: PARTITION, epoch: protocol::Epoch(1) };
    let committed = store.commit(&[(lease, batch(lease, 1))]);
    assert!(matches!(committed, Err(StoreError::Unavailable(_))), "{committed:?}");
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[test]
fn encrypted_connections_are_made_to_trusted_servers_only() {
    let _alone = alone();
    let port = told("FRACAS_POSTGRES").rsplit_once(':').unwrap().1.to_owned();
    let authority = std::fs::read_to_string(told("FRACAS_POSTGRES_AUTHORITY")).unwrap();
    let named = |host: &str| PostgresConfig {
        hosts: vec![format!("{host}:{port}")],
        tls: true,
        authority: Some(authority.clone()),
        timing: hasty(),
        ..config(&schema())
    };
    let refused = |config: &PostgresConfig| {
        let store = PostgresStore::start("store-1", config).unwrap();
        store.view().map(|_| ()).unwrap_err().to_string()
    };
    let stranger = PostgresConfig { authority: None, ..named("localhost") };
    let why = refused(&stranger);
    assert!(why.contains("invalid peer certificate"), "{why}");
    // The certificate is good for another name.
    let why = refused(&named("127.0.0.1"));
    assert!(why.contains("not valid for name"), "{why}");
    let name = schema();
    let store = started(&name, &named("localhost"));
    acquire(&store, PARTITION);
    let encrypted = admin(&format!(
        "SELECT DISTINCT ssl::text FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
         WHERE application_name = 'fracas {name}'"
    ));
    assert_eq!(encrypted, ["true"]);
}
