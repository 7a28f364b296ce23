//! The simulated world on turmoil: one seed decides every packet, crash, clock and random choice.
//!
//! It runs node's own composition and the users of `workload`: nothing of the cluster or of the workload
//! is mirrored here. It does not judge; it hands out the history.

pub mod faults;
pub mod hooks;
pub mod journal;
pub mod machine;
mod needs;
pub mod panics;
pub mod phases;
pub mod run;
pub mod seed;
pub mod stall;
pub mod world;

pub use needs::{Needs, needs};
pub use run::{Ended, Progress, Run, SimulatedRun, run};
pub use world::nodes;
