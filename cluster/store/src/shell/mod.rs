//! Tasks, links and workers around the core.

mod answers;
mod input;
mod listeners;
mod owner;
mod ownership;
mod partitions;
mod pending;
mod publisher;
mod questions;
mod readers;
mod reads;
mod round;
mod serve;
mod server;
mod steps;
mod subscriber;
mod writer;

pub use serve::serve;
