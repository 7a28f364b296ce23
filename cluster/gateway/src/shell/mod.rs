//! Sockets, tasks and ports around the hub.

mod calls;
mod deliveries;
mod front;
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
