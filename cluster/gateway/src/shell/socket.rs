//! One session on a WebSocket of its own: one task, one state, no channels.
//!
//! The future is written by hand: reading and writing then share the socket without splitting it, and
//! an idle session costs its fields and nothing else. Whatever waits in the mailbox is written with
//! one flush per wake-up.

use super::fragments;
use super::front::Front;
use super::handshake::WebSocket;
use super::mailbox::Mailbox;
use super::upgrade::READ_BUFFER;
use crate::core::Address;
use crate::core::outbound::Taken;
use bytes::Bytes;
use futures_util::{Sink, Stream};
use protocol::codec::Codec;
use protocol::{CloseCode, SessionId};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{self, Message, Utf8Bytes};

/// Messages that are read in one go before other tasks get their turn: few, for whoever sends a flood
/// makes all others wait for them.
const TURNS: usize = 8;

/// See the module.
pub struct Socket {
    front: Arc<Front>,
    stream: WebSocket,
    mailbox: Arc<Mailbox>,
    session: Option<SessionId>,
    codec: Codec,
    /// The close frame was handed to the socket.
    closing: bool,
    /// Nothing more can be read.
    deaf: bool,
}

/// The connection is of no more use.
pub struct Over;

impl Socket {
    /// Opens a session (or is refused one) on a fresh socket. `address`: as whose it counts; `None`: as
    /// nobody's.
    pub fn new(
        front: Arc<Front>,
        stream: WebSocket,
        codec: Codec,
        address: Option<IpAddr>,
    ) -> Self {
        let mailbox = Mailbox::new();
        let session = front.with(|hub| match address {
            Some(address) => {
                let bits = match address {
                    IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
                    IpAddr::V6(v6) => v6.to_bits(),
                };
                hub.open_from(codec, mailbox.clone(), Address(bits))
            }
            None => hub.open(codec, mailbox.clone(), false),
        });
        Self { front, stream, mailbox, session, codec, closing: false, deaf: false }
    }

    /// Writes what waits. `Ready` when everything is flushed.
    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Over>> {
        loop {
            match Pin::new(&mut self.stream).poll_ready(context) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(Err(Over)),
                Poll::Pending => {
                    // A stalled socket must still hear that it is given up.
                    return if self.mailbox.is_abandoned(context) {
                        Poll::Ready(Err(Over))
                    } else {
                        Poll::Pending
                    };
                }
            }
            let message = match self.mailbox.take(context) {
                Taken::Frame(frame) => match self.codec {
                    Codec::Binary => Message::Binary(frame),
                    Codec::Json => match Utf8Bytes::try_from(frame) {
                        Ok(text) => Message::Text(text),
                        Err(_) => return Poll::Ready(Err(Over)),
                    },
                },
                Taken::End(code) if !self.closing => {
                    self.closing = true;
                    close_message(code)
                }
                Taken::Abandoned => return Poll::Ready(Err(Over)),
                Taken::Empty { hungry: true } => {
                    if let Some(session) = self.session {
                        self.front.with(|hub| hub.room(session));
                    }
                    continue;
                }
                Taken::End(_) | Taken::Empty { hungry: false } => {
                    let flushed = Pin::new(&mut self.stream).poll_flush(context);
                    return flushed.map_err(|_| Over);
                }
            };
            if Pin::new(&mut self.stream).start_send(message).is_err() {
                return Poll::Ready(Err(Over));
            }
        }
    }

    /// Reads one message. `Ready(Ok)`: there may be more; the message, if it is to be held until then.
    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Over>> {
        if self.deaf {
            return Poll::Pending;
        }
        let received = std::task::ready!(Pin::new(&mut self.stream).poll_next(context));
        match (received, self.session) {
            (Some(Ok(message)), Some(session)) if !self.closing => {
                return Poll::Ready(Ok(self.receive(session, message)));
            }
            // Behind our close frame we only wait for theirs.
            (Some(Ok(_)), _) => {}
            (Some(Err(error)), Some(session)) if !self.closing => {
                let code = breach(&error).ok_or(Over)?;
                self.deaf = true;
                self.front.with(|hub| hub.breach(session, code));
            }
            (Some(Err(_)) | None, _) => return Poll::Ready(Err(Over)),
        }
        Poll::Ready(Ok(None))
    }

    /// Hands a message on. What comes back is held until the next one is read: the socket then begins a
    /// buffer of the size that it needs, instead of keeping the one that grew with this message. A
    /// `hello` with its token is the largest that most sessions ever send.
    fn receive(&mut self, session: SessionId, message: Message) -> Option<Bytes> {
        let held = match &message {
            Message::Text(text) if text.len() > READ_BUFFER => Some(Bytes::clone(text.as_ref())),
            Message::Binary(bytes) if bytes.len() > READ_BUFFER => Some(bytes.clone()),
            _ => None,
        };
        match (message, self.codec) {
            (Message::Text(text), Codec::Json) => {
                self.front.received(session, Codec::Json, text.as_str().as_bytes());
            }
            (Message::Binary(bytes), Codec::Binary) => {
                self.front.received(session, Codec::Binary, &bytes);
            }
            (Message::Text(_) | Message::Binary(_), _) => {
                self.front.with(|hub| hub.breach(session, CloseCode::Malformed));
            }
            (Message::Ping(_) | Message::Pong(_), _) => {
                self.front.with(|hub| hub.heard(session));
            }
            (Message::Close(_), _) => {
                // The answer to it is written by the socket itself; reading on ends with `None`.
                self.front.gone(session);
            }
            (Message::Frame(_), _) => {}
        }
        held
    }
}

impl Future for Socket {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut read_all = false;
        let mut _held = None;
        for _ in 0..TURNS {
            match self.poll_read(context) {
                Poll::Ready(Ok(message)) => _held = message,
                Poll::Ready(Err(Over)) => return Poll::Ready(()),
                Poll::Pending => {
                    read_all = true;
                    break;
                }
            }
        }
        if let Poll::Ready(Err(Over)) = self.poll_write(context) {
            return Poll::Ready(());
        }
        if !read_all {
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.mailbox.finish();
        if let Some(session) = self.session {
            self.front.gone(session);
        }
    }
}

/// A close frame with a code.
pub fn close_message(code: CloseCode) -> Message {
    let reason = Utf8Bytes::from(format!("{code:?}"));
    Message::Close(Some(CloseFrame { code: code.code().into(), reason }))
}

/// What a client did wrong below the level of frames; `None`: nothing, it is just gone.
pub fn breach(error: &tungstenite::Error) -> Option<CloseCode> {
    use tungstenite::error::ProtocolError::ResetWithoutClosingHandshake;
    match error {
        tungstenite::Error::Capacity(_) => Some(CloseCode::TooBig),
        tungstenite::Error::Io(error) if fragments::are_too_many(error) => Some(CloseCode::TooBig),
        tungstenite::Error::Protocol(ResetWithoutClosingHandshake) => None,
        tungstenite::Error::Utf8(_) | tungstenite::Error::Protocol(_) => Some(CloseCode::Malformed),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_session_has_little_state() {
        // Buffers (256 bytes for reading at most), the boxed stream and tokio's task come on top.
        let state = size_of::<Socket>() + size_of::<Mailbox>() + crate::core::SESSION_BYTES;
        assert!(state <= 1_536, "{state} bytes");
    }
}
