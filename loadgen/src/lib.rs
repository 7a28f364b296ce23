//! The real world: the users of a scenario on real sockets against a cluster in other processes. The
//! sibling of `sim`.
//!
//! The run takes place on a thread with a runtime of its own; its events go to a sink on yet another
//! thread, so that judging and writing never delay the users. The nodes of the cluster are child processes
//! that are killed, stopped and started as the scenario asks; what cannot be done to a process is reported,
//! not left out in silence.

mod abort;
pub mod agents;
pub mod doctor;
mod encryption;
mod exposition;
mod faults;
#[cfg(test)]
mod fixture;
mod journal;
pub mod journeys;
mod limits;
mod links;
mod machine;
mod phases;
mod run;
mod slices;
pub mod stack;
mod world;

pub use doctor::{Fit, Grade, System, fit};
pub use encryption::Encryption;
pub use exposition::Exposition;
pub use faults::not_done;
pub use journal::Sink;
pub use limits::Limits;
pub use limits::supply::{Supply, free_memory};
pub use links::Reach;
pub use run::{Against, Engines, Processes, Progress, RealEnded, RealRun, run};
pub use slices::Share;
pub use world::data_folder::{DataFolder, FolderError};
pub use world::process::ASKED_TO_END;
pub use world::readiness::{answers, probe};
pub use world::{ClusterError, Monitoring};
