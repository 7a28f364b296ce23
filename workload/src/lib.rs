//! Virtual users: what they will do, doing it, and measuring it.
//!
//! The users of the simulator and of real runs are the same code: everything that they touch comes
//! from `ports::Machine`, everything that happens to them goes to a `Recorder`. Judging is left to
//! `verify`.

pub mod body;
pub mod final_reads;
mod header;
pub mod measure;
pub mod plan;
pub mod provider;
pub mod recorder;
pub mod recording;
pub mod rest;
pub mod seen;
pub mod set_up;
mod shed;
pub mod targets;
pub mod users;

pub use final_reads::final_reads;
pub use header::header;
pub use plan::Plan;
pub use recorder::Recorder;
pub use recording::Recording;
pub use set_up::set_up;
pub use shed::shed;
pub use targets::{Service, Targets};
pub use users::{Goodbye, UsersReport, run_users};
