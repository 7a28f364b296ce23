//! The broker on a machine: its tasks, its links, and both adapters of the port.

pub mod embedded;
mod gauges;
mod hub;
mod mailbox;
pub mod remote;
pub mod server;
mod session;
mod supervisor;
mod timer;
mod wire;
mod writer;
