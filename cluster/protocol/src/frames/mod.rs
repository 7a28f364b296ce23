//! The frames of a session. One WebSocket message carries one frame (a trunk carries batches).
//!
//! `docs/protocol.md` describes them for a stranger. Externally tagged enums keep one definition for
//! both codecs: `{"send": {...}}` in JSON, a variant number and fields in postcard. New variants and
//! new fields go at the end: a decoder ignores what follows the fields that it knows.

pub mod client;
pub mod server;
pub mod trunk;

pub use client::ClientFrame;
pub use server::ServerFrame;
pub use trunk::{ClientTrunk, ServerTrunk};

/// WebSocket subprotocol names (RFC 6455 section 1.9), in the server's order of preference.
pub mod subprotocol {
    /// Text messages, one JSON frame each.
    pub const JSON: &str = "fracas.v1.json";
    /// Binary messages, one postcard frame each.
    pub const BINARY: &str = "fracas.v1.binary";
    /// Binary messages, a postcard batch of frames of many sessions each.
    pub const TRUNK: &str = "fracas.v1.trunk";
}
