//! What awaits and talks to Kafka.

pub mod broker;
mod claiming;
mod clients;
mod consumers;
mod dead_letters;
mod depths;
mod gateways;
mod publisher;
mod reader;
mod set_up;
mod uplink;
