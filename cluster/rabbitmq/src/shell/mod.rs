//! The connections to RabbitMQ, and the ports over them.

pub mod broker;
mod consumers;
mod consuming;
mod dead_letters;
mod deliveries;
mod depths;
mod housekeeping;
mod lines;
mod link;
mod messages;
mod publisher;
mod uplink;
mod wire;
