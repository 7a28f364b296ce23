//! What a gateway decides, without sockets, clocks or tasks: `Hub` and the parts that it is made of.
//!
//! The time is told with everything that happens (`Hub::at`), frames go out into the sessions' queues (`Outlet`), and
//! everything that the surroundings must do comes out as a `Call` whose answer is put in again.
//! `sessions` knows who is connected, `strangers` who has not said hello, `handshakes` what happens between
//! hello and welcome, `streams`
//! who gets what of a conversation, `backlogs` the pages that clients ask for, `sends` what is on its
//! way to the owners, `ephemeral` what may be lost; `effects` is what all of them bring about.

mod backlogs;
pub(crate) mod calls;
mod config;
#[cfg(test)]
mod documented;
mod effects;
mod encoded;
mod ephemeral;
mod handshakes;
mod hub;
#[cfg(test)]
pub(crate) mod hub_model;
#[cfg(test)]
mod hub_tests;
pub(crate) mod limits;
pub mod outbound;
mod outlets;
mod sender;
mod sends;
mod sessions;
mod slab;
mod steps;
mod strangers;
mod streams;
mod timers;
pub(crate) mod trunk;

pub use calls::Call;
pub use config::HubConfig;
pub use hub::{Hub, TokenTime};
pub(crate) use outlets::LINGER_MS;
pub use strangers::Address;

/// What the hub knows of one session, without its conversations and what waits.
#[cfg(test)]
pub(crate) const SESSION_BYTES: usize = size_of::<sessions::Session>();
