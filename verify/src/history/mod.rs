//! The operations that a run recorded. `reports/README.md` documents the file format.

pub mod event;

pub use event::{Event, Header, What};
