//! Composition: the only place that wires the roles of a cluster together.
//!
//! `run` starts one role on the machine that it is given: the simulator gives simulated machines, the
//! command line gives those of the crate `real`. Both run the same wiring.

pub mod config;
pub mod data;
pub mod embedded;
pub mod metrics;
pub mod role;
pub mod topology;

pub use config::ClusterConfig;
pub use role::{NodeError, check, run, run_announced};
pub use store::MemoryStore;
pub use topology::{Role, Topology};
