//! Carries sessions over the network port: a WebSocket each, or many on one trunk.
//!
//! Nothing here decides anything about a session: frames in, frames out, and the close code.

mod alarm;
mod client;
mod handshake;
mod inbox;
mod raw;
mod socket;
mod trunk;
mod wire;

pub use alarm::Alarm;
pub use client::{Client, Dialer, Outbound, Polled};
pub use raw::{RawFrame, RawSocket};
pub use trunk::ServiceToken;
pub use wire::{Carrier, ConnectError, Wire, WireEvent};
