//! The client's decisions, as synchronous state machines.
//!
//! No I/O, no clock and no randomness of its own: the time comes in as milliseconds since any fixed
//! origin, random numbers come from the seed that a session is given when it is made.

mod backoff;
mod conversation_outbox;
mod cursors;
mod member_cursors;
mod outbox;
mod output;
mod session;
#[cfg(test)]
mod session_against_model;
#[cfg(test)]
mod session_tests;
mod settings;

pub use outbox::OutboxFull;
pub use output::{AccessToken, Action, ActionKind, Event, Output};
pub use session::Session;
pub use settings::Settings;
