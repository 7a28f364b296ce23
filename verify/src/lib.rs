//! How a run is judged: history in, verdict out.
//!
//! The judge reads the history only; it does not know whether a simulator or real sockets made it.
//! `Judge` takes events as they come, in bounded memory; `offline` judges a small history by brute
//! force and exists to keep the first one honest.

mod addressees;
mod dead_letters;
mod given_up;
pub mod history;
pub mod invariants;
mod judge;
pub mod limits;
mod misplaced;
pub mod offline;
mod part;
mod presence;
mod recovery;
mod refusals;
mod state;
mod stored_log;
mod suspicions;
mod tally;
mod unreported;
pub mod verdict;

pub use invariants::{CATALOGUE, Claim};
pub use judge::{Judge, JudgeOptions, has_nothing_to_judge};
pub use part::{MOST_PARTS, Part, Scope};
pub use recovery::{DELAYS, allowed_after_faults};
pub use verdict::{Evidence, Finding, Judgement, Verdict};
