//! The WebSocket and REST front of the cluster: sessions, subscriptions, backpressure, drain.

pub mod core;
mod rest;
mod shell;

pub use shell::{GatewayConfig, Mailbox, ServeError, serve};
