//! Frames to bytes and back.

use crate::frames::{ClientFrame, ServerFrame, subprotocol};
use serde::{Serialize, de::DeserializeOwned};

/// How one session's frames are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Codec {
    /// UTF-8 JSON.
    Json,
    /// postcard (<https://postcard.jamesmunns.com/wire-format>).
    Binary,
}

/// Why bytes are no frame.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The frame's kind is not known to this version; the session may go on.
    #[error("unknown frame {0}")]
    UnknownFrame(String),
    /// The bytes are no frame.
    #[error("malformed frame: {0}")]
    Malformed(String),
}

impl Codec {
    /// The WebSocket subprotocol whose frames are written like this.
    pub const fn subprotocol(self) -> &'static str {
        match self {
            Self::Json => subprotocol::JSON,
            Self::Binary => subprotocol::BINARY,
        }
    }

    /// The bytes of a server frame.
    pub fn encode_server(self, frame: &ServerFrame) -> Vec<u8> {
        self.encode(frame)
    }

    /// The bytes of a client frame.
    pub fn encode_client(self, frame: &ClientFrame) -> Vec<u8> {
        self.encode(frame)
    }

    /// The client frame of some bytes.
    pub fn decode_client(self, bytes: &[u8]) -> Result<ClientFrame, DecodeError> {
        self.decode(bytes, CLIENT_FRAMES)
    }

    /// The server frame of some bytes.
    pub fn decode_server(self, bytes: &[u8]) -> Result<ServerFrame, DecodeError> {
        self.decode(bytes, SERVER_FRAMES)
    }

    fn encode<T: Serialize>(self, frame: &T) -> Vec<u8> {
        match self {
            Self::Json => serde_json::to_vec(frame).expect("frames have string keys only"),
            Self::Binary => postcard::to_stdvec(frame).expect("frames have known lengths"),
        }
    }

    fn decode<T: DeserializeOwned>(self, bytes: &[u8], known: &[&str]) -> Result<T, DecodeError> {
        match self {
            Self::Json => serde_json::from_slice(bytes).map_err(|error| {
                json_kind(bytes).filter(|kind| !known.contains(&kind.as_str())).map_or_else(
                    || DecodeError::Malformed(error.to_string()),
                    DecodeError::UnknownFrame,
                )
            }),
            Self::Binary => {
                postcard::take_from_bytes(bytes).map(|(frame, _)| frame).map_err(|error| {
                    postcard::take_from_bytes::<u32>(bytes)
                        .ok()
                        .filter(|(kind, _)| *kind as usize >= known.len())
                        .map_or_else(
                            || DecodeError::Malformed(error.to_string()),
                            |(kind, _)| DecodeError::UnknownFrame(kind.to_string()),
                        )
                })
            }
        }
    }
}

/// The kinds of client frames, in the order of their variant numbers.
pub const CLIENT_FRAMES: &[&str] = &[
    "hello", "send", "edit", "delete", "receipt", "typing", "backlog", "ping", "pong", "renew",
    "cursors",
];

/// The kinds of server frames, in the order of their variant numbers.
pub const SERVER_FRAMES: &[&str] = &[
    "welcome", "attached", "detached", "accepted", "rejected", "entry", "receipts", "typing",
    "presence", "page", "drain", "resync", "error", "ping", "pong", "renewed",
];

/// The single key of a JSON object, if that is what the bytes are.
fn json_kind(bytes: &[u8]) -> Option<String> {
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(bytes).ok()?;
    let mut keys = object.into_iter();
    match (keys.next(), keys.next()) {
        (Some((kind, _)), None) => Some(kind),
        _ => None,
    }
}
