//! How a run is judged: history in, verdict out.
//!
//! The judge reads the history only; it does not know whether a simulator or real sockets made it.

pub mod history;
pub mod verdict;
