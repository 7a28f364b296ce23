//! The client's side of the broker: one link per node, kept up, and the ports over it.

mod buffer;
pub mod remote;
mod uplink;
