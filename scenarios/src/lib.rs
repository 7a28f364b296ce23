//! The scenario file: its types, its schema, its validation, its library.
//!
//! A scenario says what to run and what to expect; it knows nothing of simulators or sockets.

pub mod duration;
pub mod scenario;

pub use scenario::Scenario;
