//! The WebSocket and REST front of the cluster: sessions, subscriptions, backpressure, drain.

pub mod core;
mod rest;
mod shell;

pub use rest::Proxies;
pub use shell::{GatewayConfig, Mailbox, ServeError, serve};
