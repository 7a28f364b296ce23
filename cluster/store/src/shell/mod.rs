//! Tasks, links and workers around the core.

mod attaching;
mod departing;
mod input;
mod owner;
mod pending;
mod publisher;
mod reads;
mod round;
mod serve;
mod server;
mod subscriber;
mod writer;

pub use serve::{serve, serve_engine};
