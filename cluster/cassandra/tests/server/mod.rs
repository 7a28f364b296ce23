//! The server itself, and what is done to it.

use super::support::told;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use std::process::Command;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;

fn process() -> String {
    std::fs::read_to_string(told("FRACAS_CASSANDRA_PID")).expect("it runs").trim().to_owned()
}

/// Sends a signal to its process.
pub fn signal(name: &str) {
    let sent = Command::new("kill").args([format!("-{name}"), process()]).status();
    assert!(sent.expect("kill runs").success(), "{name}");
}

/// Its process gets a signal and ends; another one comes and answers.
pub fn again(name: &str) {
    let before = process();
    signal(name);
    let deadline = Instant::now() + Duration::from_mins(2);
    while process() == before || std::net::TcpStream::connect(told("FRACAS_CASSANDRA")).is_err() {
        assert!(Instant::now() < deadline, "Cassandra does not come back");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A session beside the adapters, for what they do not do.
pub struct Beside {
    runtime: Runtime,
    session: Session,
}

impl Beside {
    pub fn open() -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let builder = SessionBuilder::new().known_node(told("FRACAS_CASSANDRA"));
        let session = runtime.block_on(builder.build()).expect("Cassandra answers");
        Self { runtime, session }
    }

    /// Runs a statement.
    pub fn run(&self, cql: &str, values: impl scylla::serialize::row::SerializeRow) {
        let ran = self.runtime.block_on(self.session.query_unpaged(cql, values));
        ran.unwrap_or_else(|error| panic!("{cql}: {error}"));
    }

    /// How many rows a statement finds.
    pub fn count(&self, cql: &str) -> usize {
        let ran = self.runtime.block_on(self.session.query_unpaged(cql, ()));
        let rows = ran.unwrap_or_else(|error| panic!("{cql}: {error}")).into_rows_result();
        rows.expect("it finds rows").rows_num()
    }
}
