//! RabbitMQ behind the ports of the broker.
//!
//! `core` decides: which queues there are and how they are made, what an acknowledgement means, what a
//! dead letter looks like. `shell` keeps the connections up, through `lapin`. What each promise costs here
//! is in `docs/decisions/rabbitmq.md`; how a broker must be set up is in `docs/engines.md`.
//!
//! `lapin` runs a thread for each connection, so nothing of this can be simulated: the command hands it to
//! a node, whose wiring knows the ports alone.

#![warn(missing_docs)]

mod config;
mod core;
mod shell;

pub use config::{Management, RabbitConfig};
pub use shell::broker::RabbitBroker;
