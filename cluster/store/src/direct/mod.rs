//! Fan-out over the links that gateways have to store nodes: the other adapter of `ports::broker::Fanout`,
//! besides a broker's.
//!
//! A store node publishes through `GatewayLinks`, which keeps a queue per linked gateway; a gateway
//! consumes through `RemoteConversations`, whose links all feed one inbox. So many records are under way
//! on a link that have not been taken by the consumer; the others wait in the queue, and what it has no
//! room for is dropped, like everything for a gateway without a link. So a gateway that is slow or gone
//! never holds an owner up, nor the answers on its own link. Gateways find what they lack by heads, as
//! with any fan-out.

mod inbox;
mod links;
mod queue;
#[cfg(test)]
mod tests;

pub use inbox::{Inbox, Parcel};
pub use links::GatewayLinks;
