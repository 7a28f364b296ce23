//! The chat client: a pure session state machine, and the shells that carry it over the network.
//!
//! `core` decides: what is sent, when it is sent again, what is shown, when to reconnect. `shell`
//! moves frames over WebSockets and trunks. Neither knows what a user wants to say: the application
//! on top (virtual users, a bot) does.

mod core;
mod shell;

pub use crate::core::{
    AccessToken, Action, ActionKind, Event, OutboxFull, Output, Session, Settings,
};
pub use shell::{
    Alarm, Carrier, Client, ConnectError, Dialer, Outbound, Polled, RawFrame, RawSocket,
    ServiceToken, Wire, WireEvent,
};
