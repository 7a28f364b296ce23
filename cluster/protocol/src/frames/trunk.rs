//! Trunk batches: one connection that carries the frames of many sessions.
//!
//! Each item names a slot, a number that the client chooses and that stands for one session on this
//! connection. Frames inside are already encoded with the binary codec, so that a fanned-out entry
//! is encoded once and its bytes are shared.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// A client's batch.
pub type ClientBatch = Vec<ClientTrunk>;
/// A server's batch.
pub type ServerBatch = Vec<ServerTrunk>;

/// One item of a client's batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClientTrunk {
    /// A session begins in this slot; its first frame must be `hello`.
    Open {
        /// The slot; not in use on this connection.
        slot: u32,
    },
    /// A frame of the session, in the binary codec.
    Frame {
        /// The slot.
        slot: u32,
        /// A `ClientFrame`.
        frame: Bytes,
    },
    /// The session ends.
    Close {
        /// The slot.
        slot: u32,
    },
    /// Keeps the whole connection alive; answered by `Alive`.
    Alive,
}

/// One item of a server's batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServerTrunk {
    /// A frame of the session, in the binary codec.
    Frame {
        /// The slot.
        slot: u32,
        /// A `ServerFrame`.
        frame: Bytes,
    },
    /// The session was closed with a close code; the slot is free again.
    Closed {
        /// The slot.
        slot: u32,
        /// A number of `CloseCode`.
        code: u16,
    },
    /// The connection lives.
    Alive,
}
