//! The server itself, and what is done to it.

use super::support::told;
use std::process::Command;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// The process that all others of the server are children of.
pub fn postmaster() -> String {
    let file = format!("{}/postmaster.pid", told("FRACAS_POSTGRES_DATA"));
    let text = std::fs::read_to_string(file).expect("it runs");
    text.lines().next().expect("its first line is the process").trim().to_owned()
}

/// Sends a signal to a process.
pub fn signal(name: &str, process: &str) {
    let sent = Command::new("kill").args([format!("-{name}"), process.to_owned()]).status();
    assert!(sent.expect("kill runs").success(), "{name} to {process}");
}

fn children(process: &str) -> Vec<String> {
    let listed = Command::new("ps").args(["-o", "pid=", "--ppid", process]).output();
    let listed = listed.expect("ps runs").stdout;
    String::from_utf8_lossy(&listed).lines().map(|line| line.trim().to_owned()).collect()
}

/// As a power failure of all its processes: nothing is said to anybody, nothing is written.
pub fn kill() {
    let first = postmaster();
    // It would tidy up after its children.
    signal("STOP", &first);
    for child in children(&first) {
        // Some end on their own.
        let _ = Command::new("kill").args(["-KILL", &child]).status();
    }
    signal("KILL", &first);
}

/// Processes that stand still until this is dropped.
#[derive(Default)]
pub struct Stopped(Vec<String>);

impl Drop for Stopped {
    fn drop(&mut self) {
        for process in &self.0 {
            let _ = Command::new("kill").args(["-CONT", process]).status();
        }
    }
}

/// All its processes stand still.
pub fn stop_all() -> Stopped {
    let first = postmaster();
    signal("STOP", &first);
    let mut all = children(&first);
    all.retain(|child| {
        let stopped = Command::new("kill").args(["-STOP", child]).status();
        stopped.is_ok_and(|status| status.success())
    });
    all.push(first);
    Stopped(all)
}

/// Waits until it takes connections.
pub fn is_back() {
    let deadline = Instant::now() + Duration::from_mins(1);
    while Session::try_open(&told("FRACAS_POSTGRES")).is_none() {
        assert!(Instant::now() < deadline, "PostgreSQL does not come back");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Commits wait for the standby as well, until this is dropped: whatever becomes of the test, the next one commits
/// without it.
pub struct WaitsForStandby;

/// Makes commits wait for the standby.
pub fn wait_for_standby() -> WaitsForStandby {
    admin("ALTER SYSTEM SET synchronous_standby_names = 'standby'");
    admin("SELECT pg_reload_conf()");
    WaitsForStandby
}

impl Drop for WaitsForStandby {
    fn drop(&mut self) {
        // A second panic would end the other tests.
        if let Some(mut session) = Session::try_open(&told("FRACAS_POSTGRES")) {
            session.run("ALTER SYSTEM RESET synchronous_standby_names");
            session.run("SELECT pg_reload_conf()");
        }
    }
}

/// Who follows the server, and how far its slot has come.
pub fn standbys() -> String {
    let replication = admin("SELECT r::text FROM pg_stat_replication r");
    let slots = admin("SELECT s::text FROM pg_replication_slots s");
    format!("connections {replication:?}, slots {slots:?}")
}

/// Makes the standby a primary.
pub fn promote() {
    let standby = told("FRACAS_POSTGRES_STANDBY");
    let promoted = Session::try_open(&standby).expect("it answers").run("SELECT pg_promote()");
    assert_eq!(promoted, ["t"]);
}

/// A session of whoever runs the database.
pub struct Session {
    runtime: Runtime,
    client: Client,
}

impl Session {
    /// Opens one.
    pub fn open() -> Self {
        Self::try_open(&told("FRACAS_POSTGRES")).expect("PostgreSQL answers")
    }

    fn try_open(address: &str) -> Option<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().ok()?;
        let (host, port) = address.rsplit_once(':')?;
        let password = told("FRACAS_POSTGRES_PASSWORD");
        let settings =
            format!("host={host} port={port} user=fracas password={password} dbname=chat");
        let connecting = tokio_postgres::connect(&settings, NoTls);
        let (client, connection) = runtime.block_on(connecting).ok()?;
        runtime.spawn(connection);
        Some(Self { runtime, client })
    }

    /// Runs statements; the first column of their rows.
    pub fn run(&mut self, sql: &str) -> Vec<String> {
        let told = self.runtime.block_on(self.client.simple_query(sql));
        let rows = told.expect("the statement is good").into_iter();
        let rows = rows.filter_map(|message| match message {
            SimpleQueryMessage::Row(row) if !row.is_empty() => {
                Some(row.get(0).unwrap_or_default().to_owned())
            }
            _ => None,
        });
        rows.collect()
    }
}

/// Runs statements in a session of their own.
pub fn admin(sql: &str) -> Vec<String> {
    Session::open().run(sql)
}

/// The processes behind the connections of an adapter.
pub fn backends(name: &str) -> Vec<String> {
    admin(&format!(
        "SELECT pid::text FROM pg_stat_activity WHERE application_name = 'fracas {name}'"
    ))
}
