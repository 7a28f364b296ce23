//! A WebSocket whose owner says what it likes: frames that no client sends.

use super::socket::{self, Pump};
use super::wire::ConnectError;
use bytes::Bytes;
use ports::Machine;
use std::future::poll_fn;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

const BUFFERS: (usize, usize) = (128, 512);

/// One frame of a WebSocket (RFC 6455, section 5.2), as it is, sent in one piece.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawFrame {
    /// Of the type text, be it UTF-8 or not; otherwise binary.
    pub is_text: bool,
    /// With a bit set that belongs to an extension which nobody has negotiated.
    pub is_reserved: bool,
    /// What is in it.
    pub payload: Vec<u8>,
}

/// See the module.
pub struct RawSocket(Pump);

impl RawSocket {
    /// Connects to `host:port`, and upgrades with any subprotocol, and any token or none in the request.
    pub async fn open(
        machine: &Machine,
        to: &str,
        subprotocol: &'static str,
        token: Option<&str>,
    ) -> Result<Self, ConnectError> {
        let opened = socket::upgrade(machine, to, subprotocol, token, BUFFERS).await?;
        Ok(Self(Pump::new(opened)))
    }

    /// Puts a frame in line; it goes out while `next` is waited for.
    pub fn send(&mut self, frame: RawFrame) {
        let kind = if frame.is_text { Data::Text } else { Data::Binary };
        let mut raw = Frame::message(frame.payload, OpCode::Data(kind), true);
        raw.header_mut().rsv1 = frame.is_reserved;
        self.0.send(Message::Frame(raw));
    }

    /// The next message from the server, or its close code; 0: the connection is lost.
    pub async fn next(&mut self) -> Result<Bytes, u16> {
        poll_fn(|cx| self.0.poll_next(cx, true)).await
    }
}
