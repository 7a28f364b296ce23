//! The suites of the message store's port, against a Cassandra that `cargo xtask engines` has started.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use cassandra::CassandraStore;
use store::conformance::{Durable, owners};
use support::{config, keyspace, started};

/// An engine whose tables are empty.
fn empty() -> CassandraStore {
    started(&config(&keyspace()))
}

/// The tables of one keyspace.
struct Tables(String);

impl Tables {
    fn empty() -> Self {
        Self(keyspace())
    }
}

impl Durable for Tables {
    type Engine = CassandraStore;

    fn open(&self) -> CassandraStore {
        started(&config(&self.0))
    }
}

store::conformance!(cassandra_engine, super::empty);
store::durable!(reopened, super::Tables::empty);

#[test]
fn owners_on_different_nodes_leave_no_gap() {
    let tables = Tables::empty();
    let (one, other) = (tables.open(), tables.open());
    owners::owners_of_two_engines_leave_no_gap([&one, &other]);
}
