//! The embedded broker: durable queues, confirms, redelivery, dead letters.
//!
//! `core` decides, the log of `segments` keeps, `shell` connects them to a node's machine: in process
//! ([`EmbeddedBroker`]), as a node of its own ([`serve`]), and from other nodes ([`RemoteBroker`]).

mod config;
mod core;
mod shell;

pub use config::BrokerConfig;
pub use shell::embedded::{EmbeddedBroker, OpenError};
pub use shell::remote::RemoteBroker;
pub use shell::server::{ServeError, serve};
