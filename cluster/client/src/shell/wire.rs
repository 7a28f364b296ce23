//! One face for both ways of carrying a session.

use super::socket::{self, SocketWire};
use super::trunk::{ServiceToken, TrunkWire, Trunks};
use ports::Machine;
use protocol::codec::Codec;
use protocol::{ClientFrame, ServerFrame, limits};
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::http::StatusCode;

/// How long a connection and its handshake may take: a connect through a stalled link hangs.
pub const CONNECT_TIMEOUT: Duration = limits::LINK_CONNECT_TIMEOUT;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The stream could not be connected.
    #[error("connecting to {to}")]
    Connect {
        /// `host:port`.
        to: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Nothing happened for `CONNECT_TIMEOUT`.
    #[error("no connection to {to} in time")]
    Timeout {
        /// `host:port`.
        to: String,
    },
    /// The server did not speak the protocol, or refused the upgrade.
    #[error("no WebSocket at {to}")]
    Handshake {
        /// `host:port`.
        to: String,
        /// Why.
        #[source]
        source: Box<tokio_tungstenite::tungstenite::Error>,
    },
    /// A trunk that others tried to connect at the same moment did not come about, or is full.
    #[error("no trunk to {to}")]
    NoTrunk {
        /// `host:port`.
        to: String,
    },
    /// Something that is needed before connecting, such as a token, is not to be had.
    #[error("not ready to connect: {0}")]
    NotReady(String),
}

impl ConnectError {
    /// The server's answer, if it refused the upgrade.
    pub fn status(&self) -> Option<u16> {
        let Self::Handshake { source, .. } = self else { return None };
        let Error::Http(response) = &**source else { return None };
        Some(response.status().as_u16())
    }

    /// Whether the server refused the token of the request.
    pub fn is_unauthorised(&self) -> bool {
        self.status() == Some(StatusCode::UNAUTHORIZED.as_u16())
    }
}

/// What a wire says.
#[derive(Debug, PartialEq, Eq)]
pub enum WireEvent {
    /// A frame.
    Frame(ServerFrame),
    /// The session's connection is gone: a close code, or 0.
    Closed(u16),
}

/// Opens wires.
#[derive(Clone)]
pub struct Carrier {
    machine: Machine,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    Sockets(Codec),
    Trunks(Arc<Trunks>),
}

impl Carrier {
    /// A WebSocket for each session.
    pub fn sockets(machine: Machine, codec: Codec) -> Self {
        Self { machine, kind: Kind::Sockets(codec) }
    }

    /// One WebSocket per gateway, shared by all sessions of this carrier and its clones, and opened with
    /// the token of a service.
    pub fn trunks(machine: Machine, service: Box<dyn ServiceToken>) -> Self {
        Self { machine, kind: Kind::Trunks(Arc::new(Trunks::new(service))) }
    }

    /// A wire to `host:port`, within `CONNECT_TIMEOUT`.
    pub async fn open(&self, to: &str) -> Result<Wire, ConnectError> {
        match &self.kind {
            Kind::Sockets(codec) => {
                socket::connect(&self.machine, to, *codec).await.map(Box::new).map(Wire::Socket)
            }
            Kind::Trunks(trunks) => trunks.open(&self.machine, to).await.map(Wire::Trunk),
        }
    }
}

/// The connection of one session. Dropping it drops the connection without a word.
pub enum Wire {
    /// A WebSocket of its own.
    Socket(Box<SocketWire>),
    /// A slot of a trunk.
    Trunk(TrunkWire),
}

impl Wire {
    /// Puts a frame in line; it goes out while `next` is waited for.
    pub fn send(&mut self, frame: &ClientFrame) {
        match self {
            Self::Socket(wire) => wire.send(frame),
            Self::Trunk(wire) => wire.send(frame),
        }
    }

    /// Writes what is in line and, if `reading`, looks for the next event; without `reading` it is never
    /// ready.
    pub fn poll_next(&mut self, cx: &mut Context<'_>, reading: bool) -> Poll<WireEvent> {
        match self {
            Self::Socket(wire) => wire.poll_next(cx, reading),
            Self::Trunk(wire) => wire.poll_next(cx, reading),
        }
    }

    /// Writes what is in line and waits for the next event. Cancel safe.
    pub async fn next(&mut self) -> WireEvent {
        poll_fn(|cx| self.poll_next(cx, true)).await
    }

    /// Says goodbye, briefly.
    pub async fn close(self) {
        match self {
            Self::Socket(wire) => wire.close().await,
            Self::Trunk(wire) => drop(wire),
        }
    }
}
