//! The other end of the links: how gateways and services ask the owners.

mod node;
mod remote;
mod routes;

pub use remote::RemoteConversations;
