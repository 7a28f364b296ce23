//! The broker on a machine: its tasks, its links, and the ports in process.

pub mod embedded;
mod gauges;
pub mod server;
mod session;
mod shared;
mod writer;
