//! The operations that a run recorded. `reports/README.md` documents the file format.
//!
//! A history is a header and then events in the order of time. Nothing here judges anything.

pub mod builder;
pub mod event;
pub mod fixture;
mod header;
mod machine;
pub mod merge;
mod outcome;
pub mod path;
pub mod reader;
mod request;
pub mod soak;
pub(crate) mod subject;
mod talk;
mod trips;
pub mod writer;

pub use event::{Agent, Event, Header, What};
pub use merge::{Clock, Merge};
pub use path::PathStep;
pub use reader::{ReadError, Reader};
pub use writer::Writer;
