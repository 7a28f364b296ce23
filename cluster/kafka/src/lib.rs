//! Apache Kafka behind the ports of the broker.
//!
//! `core` decides: which topics there are, what is committed and what a commit says, who may read a
//! partition, what a log of dead letters amounts to. `shell` talks to Kafka, through `rdkafka`. What each
//! promise costs here is in `docs/decisions/kafka.md`; how a cluster must be set up is in `docs/engines.md`.
//!
//! `rdkafka` runs threads of its own, so nothing of this can be simulated: the command hands it to a node,
//! whose wiring knows the ports alone.

#![warn(missing_docs)]

mod config;
mod core;
mod shell;

pub use config::{Acks, Credentials, Encryption, KafkaConfig, Mechanism};
pub use shell::broker::{KafkaBroker, NoClients};
