//! The embedded broker: durable queues, confirms, redelivery, dead letters.
//!
//! `core` decides, the log of `segments` keeps, `shell` connects them to a node's machine: in process
//! ([`EmbeddedBroker`]) and as a node of its own ([`serve`]). `client` is how other nodes reach it
//! ([`RemoteBroker`]).

mod client;
mod config;
mod consumer;
mod core;
mod shell;
mod wire;

pub use client::remote::RemoteBroker;
pub use config::{BrokerConfig, BrokerEngine};
pub use shell::embedded::{EmbeddedBroker, OpenError, check, is_on};
pub use shell::server::{ServeError, serve};
