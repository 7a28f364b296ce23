//! The way to Cassandra.

mod apply;
mod claims;
mod commits;
mod failure;
mod link;
mod prefetch;
mod reads;
mod removal;
mod statements;
mod states;
pub mod store;
mod tracks;
mod view;
