//! Composition: the only place that chooses adapters and wires the roles of a cluster together.
//!
//! `run` starts one role on a given machine; the simulator calls it with simulated machines, `real`
//! makes machines of sockets, threads and directories. Both run the same wiring.

pub mod config;
pub mod embedded;
pub mod real;
pub mod role;
pub mod topology;

pub use config::ClusterConfig;
pub use role::{NodeError, check, run, run_announced};
pub use topology::{Role, Topology};
