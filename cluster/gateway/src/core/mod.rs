//! What a gateway decides, without sockets, clocks or tasks: `Hub` and what it is made of.
//!
//! Time comes in as an argument (`Now`), frames go out into mailboxes, and everything that the
//! surroundings must do comes out as a `Call` whose answer is put in again.

mod attaching;
pub mod calls;
mod catching_up;
mod delivering;
mod departed;
#[cfg(test)]
mod documented;
mod encoded;
mod greeting;
pub mod hub;
#[cfg(test)]
pub(crate) mod hub_model;
#[cfg(test)]
mod hub_tests;
pub mod limits;
pub mod mailbox;
mod notices;
mod outlets;
mod rules;
mod sending;
mod session;
mod slab;
mod stream;
mod timers;
pub mod trunk;
mod upkeep;

pub use calls::Call;
pub use hub::{Hub, HubConfig, Now};
pub use mailbox::{Mailbox, Ready};

/// What the hub knows of one session, without its conversations and what waits.
pub const SESSION_BYTES: usize = size_of::<session::Session>();
