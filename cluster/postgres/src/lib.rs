//! PostgreSQL behind the port of the message store: an engine that all store nodes share.
//!
//! `core` decides: the tables, what a commit is as one statement, under which number a lease is written,
//! what a failure means. `shell` connects, through `tokio-postgres` and a pool. Why a write that comes late
//! writes nothing is in `core/writers.rs`; what was chosen is in `docs/decisions/postgres.md`; how a database
//! must be set up is in `docs/engines.md`.
//!
//! It has threads and sockets of its own, so nothing of this can be simulated: the command hands it to a
//! node, whose wiring knows the port alone.

#![warn(missing_docs)]

mod config;
mod core;
mod shell;

pub use config::{PostgresConfig, Timing};
pub use shell::store::{PostgresStore, StartError};
