//! The suites of the message store's port, against a PostgreSQL that `cargo xtask engines` has started.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use postgres::PostgresStore;
use store::conformance::{Durable, owners};
use support::{config, schema, started};

/// An engine whose tables are empty.
fn empty() -> PostgresStore {
    started("conformance", &config(&schema()))
}

/// The tables of one schema.
struct Tables(String);

impl Tables {
    fn empty() -> Self {
        Self(schema())
    }
}

impl Durable for Tables {
    type Engine = PostgresStore;

    fn open(&self) -> PostgresStore {
        started("conformance", &config(&self.0))
    }
}

store::conformance!(postgres_engine, super::empty);
store::durable!(reopened, super::Tables::empty);

#[test]
fn owners_on_different_nodes_leave_no_gap() {
    let tables = Tables::empty();
    let (one, other) = (tables.open(), tables.open());
    owners::owners_of_two_engines_leave_no_gap([&one, &other]);
}
