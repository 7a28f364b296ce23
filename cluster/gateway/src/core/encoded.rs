//! A frame for many sessions, encoded at most once per codec.

use bytes::Bytes;
use protocol::ServerFrame;
use protocol::codec::Codec;

/// A frame and its bytes, as far as somebody needed them.
#[derive(Debug)]
pub struct Encoded {
    frame: ServerFrame,
    json: Option<Bytes>,
    binary: Option<Bytes>,
}

impl From<ServerFrame> for Encoded {
    fn from(frame: ServerFrame) -> Self {
        Self { frame, json: None, binary: None }
    }
}

impl Encoded {
    /// The bytes in a codec, shared.
    #[inline]
    pub fn bytes(&mut self, codec: Codec) -> Bytes {
        let slot = match codec {
            Codec::Json => &mut self.json,
            Codec::Binary => &mut self.binary,
        };
        slot.get_or_insert_with(|| codec.encode_server(&self.frame).into()).clone()
    }
}
