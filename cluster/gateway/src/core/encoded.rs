//! A frame for many sessions, encoded at most once per codec.

use super::outbound::{StateKind, Topic};
use bytes::Bytes;
use protocol::codec::Codec;
use protocol::{ConversationId, ServerFrame};

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

    /// What it is about, if only the newest such frame matters.
    #[inline]
    pub const fn topic(&self) -> Option<Topic> {
        let (conversation, user, kind) = match &self.frame {
            ServerFrame::Receipts(it) => (it.conversation, it.user, StateKind::Receipts),
            ServerFrame::Typing(it) => (it.conversation, it.user, StateKind::Typing),
            ServerFrame::Presence(it) => (it.conversation, it.user, StateKind::Presence),
            _ => return None,
        };
        Some(Topic { conversation, user, kind })
    }

    /// The conversation whose stream begins or ends with it.
    #[inline]
    pub const fn divides(&self) -> Option<ConversationId> {
        match &self.frame {
            ServerFrame::Attached(it) => Some(it.conversation),
            ServerFrame::Detached(it) => Some(it.conversation),
            _ => None,
        }
    }
}
