//! A WebSocket of its own for a session.

use super::handshake::{self, Opened, WebSocket};
use super::wire::{CONNECT_TIMEOUT, ConnectError, WireEvent};
use bytes::Bytes;
use futures_util::{Sink, Stream as _};
use ports::Machine;
use protocol::codec::{Codec, DecodeError};
use protocol::{ClientFrame, CloseCode};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};

/// What a virtual user's socket reads at first. The default of 128 KiB would dominate its memory; for a
/// larger frame the buffer grows, and stays.
const READ_BUFFER: usize = 128;
/// What it gathers before it writes: a few frames of the usual size.
const WRITE_BUFFER: usize = 512;
/// Largest message that is taken from a server: a page of `limits::MAX_PAGE` long bodies fits.
const MAX_MESSAGE: usize = 16 * 1024 * 1024;
/// As which close a connection ends on which the server says what the protocol does not know: the code is what a client
/// says then (RFC 6455, section 7.4.1).
pub const PROTOCOL_ERROR: u16 = 1002;
/// How long saying goodbye may take.
const GOODBYE: Duration = Duration::from_millis(200);

/// Connects and upgrades, within `CONNECT_TIMEOUT`. The buffers: for reading and for writing.
pub async fn upgrade(
    machine: &Machine,
    to: &str,
    subprotocol: &'static str,
    token: Option<&str>,
    buffers: (usize, usize),
) -> Result<Opened, ConnectError> {
    timeout(CONNECT_TIMEOUT, upgrade_without_deadline(machine, to, subprotocol, token, buffers))
        .await
        .map_err(|_| ConnectError::Timeout { to: to.to_owned() })?
}

async fn upgrade_without_deadline(
    machine: &Machine,
    to: &str,
    subprotocol: &'static str,
    token: Option<&str>,
    buffers: (usize, usize),
) -> Result<Opened, ConnectError> {
    let wrong =
        |source: Error| ConnectError::Handshake { to: to.to_owned(), source: source.into() };
    let mut request = format!("ws://{to}/v1/ws").into_client_request().map_err(wrong)?;
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static(subprotocol));
    if let Some(token) = token {
        let bearer = HeaderValue::try_from(format!("Bearer {token}"));
        let bearer = bearer.map_err(|error| wrong(Error::HttpFormat(error.into())))?;
        request.headers_mut().insert("authorization", bearer);
    }
    let stream = machine
        .network
        .connect(to)
        .await
        .map_err(|source| ConnectError::Connect { to: to.to_owned(), source })?;
    let config = WebSocketConfig::default()
        .read_buffer_size(buffers.0)
        // Several frames of one wake-up share a write; `poll_flush` sends them off.
        .write_buffer_size(buffers.1)
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE));
    handshake::upgrade(request, stream, config).await.map_err(wrong)
}

pub async fn connect(
    machine: &Machine,
    to: &str,
    codec: Codec,
) -> Result<SocketWire, ConnectError> {
    let socket =
        upgrade(machine, to, codec.subprotocol(), None, (READ_BUFFER, WRITE_BUFFER)).await?;
    Ok(SocketWire { socket: Pump::new(socket), codec })
}

/// A session's WebSocket.
pub struct SocketWire {
    socket: Pump,
    codec: Codec,
}

impl SocketWire {
    pub fn send(&mut self, frame: &ClientFrame) {
        let bytes = self.codec.encode_client(frame);
        self.socket.send(match self.codec {
            Codec::Binary => Message::Binary(bytes.into()),
            Codec::Json => {
                Message::Text(Bytes::from(bytes).try_into().expect("JSON is written as UTF-8"))
            }
        });
    }

    pub fn poll_next(&mut self, cx: &mut Context<'_>, reading: bool) -> Poll<WireEvent> {
        loop {
            let payload = match ready!(self.socket.poll_next(cx, reading)) {
                Ok(payload) => payload,
                Err(code) => return Poll::Ready(WireEvent::Closed(code)),
            };
            match self.codec.decode_server(&payload) {
                Ok(frame) => return Poll::Ready(WireEvent::Frame(frame)),
                // A newer server may say things that are not for us.
                Err(DecodeError::UnknownFrame(kind)) => tracing::debug!(kind, "unknown frame"),
                Err(DecodeError::Malformed(error)) => {
                    tracing::warn!(error, "malformed frame");
                    return Poll::Ready(WireEvent::Closed(PROTOCOL_ERROR));
                }
            }
        }
    }

    pub async fn close(mut self) {
        // Whoever does not take a goodbye gets none.
        let _ = timeout(GOODBYE, self.socket.close()).await;
    }
}

/// Writes and reads one WebSocket from one task, so that neither waits for the other.
pub struct Pump {
    /// Always there, but for a moment.
    socket: Option<WebSocket>,
    waiting: VecDeque<Message>,
    unflushed: bool,
    /// Nothing was read so far. What is written until then, a hello with its token, is the largest frame
    /// that most sessions ever send, and its room would be kept.
    is_unread: bool,
}

impl Pump {
    pub fn new(Opened { socket, is_unread }: Opened) -> Self {
        Self { socket: Some(socket), waiting: VecDeque::new(), unflushed: false, is_unread }
    }

    fn socket(&mut self) -> Pin<&mut WebSocket> {
        Pin::new(self.socket.as_mut().expect("it is put back at once"))
    }

    pub fn send(&mut self, message: Message) {
        self.waiting.push_back(message);
    }

    /// The next payload, or the close code once the connection is over; 0: it is lost.
    pub fn poll_next(&mut self, cx: &mut Context<'_>, reading: bool) -> Poll<Result<Bytes, u16>> {
        if self.poll_write(cx).is_err() {
            // What the server said before may still be there, a close code above all.
            self.waiting.clear();
            self.unflushed = false;
            if !reading {
                return Poll::Ready(Err(0));
            }
        }
        if !reading {
            return Poll::Pending;
        }
        self.is_unread = false;
        loop {
            match self.socket().poll_next(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(Message::Binary(bytes)))) => return Poll::Ready(Ok(bytes)),
                Poll::Ready(Some(Ok(Message::Text(text)))) => return Poll::Ready(Ok(text.into())),
                Poll::Ready(Some(Ok(Message::Close(frame)))) => {
                    let code = frame.map_or(CloseCode::Normal.code(), |frame| frame.code.into());
                    return Poll::Ready(Err(code));
                }
                // tungstenite answers pings by itself.
                Poll::Ready(Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)))) => {}
                Poll::Ready(Some(Err(error))) => {
                    tracing::trace!(%error, "socket lost");
                    return Poll::Ready(Err(if is_the_servers(&error) {
                        PROTOCOL_ERROR
                    } else {
                        0
                    }));
                }
                Poll::Ready(None) => return Poll::Ready(Err(0)),
            }
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Result<(), Error> {
        while !self.waiting.is_empty() {
            match self.socket().poll_ready(cx)? {
                Poll::Pending => return Ok(()),
                Poll::Ready(()) => {
                    let message = self.waiting.pop_front().expect("it is not empty");
                    self.unflushed = true;
                    self.socket().start_send(message)?;
                    if self.waiting.is_empty() {
                        // An idle session keeps no room for it.
                        self.waiting = VecDeque::new();
                    }
                }
            }
        }
        if self.unflushed && self.socket().poll_flush(cx)?.is_ready() {
            self.unflushed = false;
            if self.is_unread {
                self.socket = self.socket.take().map(handshake::without_buffers);
            }
        }
        Ok(())
    }

    async fn close(&mut self) -> Result<(), Error> {
        poll_fn(|cx| Poll::Ready(self.poll_write(cx))).await?;
        self.socket().close(None).await
    }
}

/// Whether a server has said what is no WebSocket frame, or no text where text is due.
const fn is_the_servers(error: &Error) -> bool {
    use ProtocolError as P;
    matches!(
        error,
        Error::Utf8(_)
            | Error::Protocol(
                P::NonZeroReservedBits
                    | P::MaskedFrameFromServer
                    | P::FragmentedControlFrame
                    | P::ControlFrameTooBig
                    | P::UnknownControlFrameType(_)
                    | P::UnknownDataFrameType(_)
                    | P::UnexpectedContinueFrame
                    | P::ExpectedFragment(_)
                    | P::InvalidOpcode(_)
                    | P::InvalidCloseSequence
            )
    )
}
