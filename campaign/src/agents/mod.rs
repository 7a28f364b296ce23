//! Several generators of one run: what each of them leaves, and how that becomes one result.

pub mod file;
pub mod merge;
pub mod part;

pub use file::{AgentFile, Ended};
pub use merge::{Parts, Told};
pub use part::PartFolder;
