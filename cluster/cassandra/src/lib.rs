//! Apache Cassandra behind the port of the message store: an engine that all store nodes share.
//!
//! A partition of the cluster is a log of slots in one partition of Cassandra. A commit claims the next slot
//! with one lightweight transaction, whose condition is the owner's epoch; its rows follow, and anybody may
//! write them again. `core` decides: what a transaction's outcome means, which rows a batch comes to, which
//! version of a row a view sees. `shell` talks to Cassandra, through `scylla`. What was chosen is in
//! `docs/decisions/cassandra.md`; how Cassandra must be set up is in `docs/engines.md`.
//!
//! It has threads and sockets of its own, so nothing of this can be simulated: the command hands it to a
//! node, whose wiring knows the port alone.

#![warn(missing_docs)]

mod config;
mod core;
mod shell;

pub use config::{CassandraConfig, Timing};
pub use shell::store::CassandraStore;
