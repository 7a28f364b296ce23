//! Sockets, tasks and ports around the hub.

mod calls;
mod deliveries;
mod fragments;
mod front;
mod handshake;
mod incarnation;
mod mailbox;
mod serve;
mod socket;
#[cfg(test)]
mod tests;
mod trunk;
mod upgrade;

pub use mailbox::Mailbox;
pub use serve::{GatewayConfig, ServeError, serve};
