//! What a run leaves behind for people and machines: measurements, and one report in several forms.
//!
//! Everything is derived from the stream of history events and the judgement, so that a simulated
//! run and a run on real sockets get the same report. This crate judges nothing: whether an
//! invariant holds is for `verify` to say. It reads no clock and opens nothing but the files of
//! reports, and what the machine says of itself.

mod claim;
pub mod compare;
mod doubts;
pub mod expectation;
mod fidelity;
pub mod folder;
pub mod gather;
mod html;
pub mod knee;
pub mod latency_log;
mod live;
pub mod machine;
pub mod measure;
pub mod measured;
mod number;
pub mod past_run;
pub mod prediction;
pub mod run;
#[cfg(test)]
mod sample;
mod steady;
pub mod sweep;
mod text;
mod under_test;
pub mod verdict_file;
mod violations;
mod write;

pub use expectation::{Expectation, expectations};
pub use fidelity::Fidelity;
pub use knee::Knee;
pub use live::{Extent, Live, LiveLatencies};
pub use machine::Machine;
pub use measure::{Measurements, Planned};
pub use measured::Measured;
pub use past_run::PastRun;
pub use run::{Run, Took};
pub use sweep::Sweep;
pub use text::comparison::comparison;
pub use text::fidelity::fidelity_table;
pub use text::fitted::fitted;
pub use text::junit::{Member, members};
pub use text::knee::knee as knee_table;
pub use text::live::{live_line, live_panel};
pub use text::live_metrics::live_metrics;
pub use text::progress::progress;
pub use text::sweep::sweep_table;
pub use text::terminal::{terminal, wrapped};
pub use verdict_file::VerdictFile;
pub use violations::messages;
pub use write::{ReportError, write};
