//! A framed, heartbeated, typed connection between two nodes, over the network port.
//!
//! Both ends notice silence: a stream whose peer vanished without a word (power loss, a partition
//! that was healed) never errors by itself. What to do about a lost link is the caller's business:
//! nothing here reconnects or resends.

pub mod accept;
pub mod calls;
mod frame;
mod greeting;
pub mod http;
pub mod http_server;
pub mod measured;
mod patience;
mod pump;
pub mod shares;

pub use calls::{CallLost, Calls};
pub use greeting::Wire;

use frame::Place;
use greeting::Greeting;
use ports::{Machine, Stream};
use protocol::limits;
use pump::Pump;
use serde::{Serialize, de::DeserializeOwned};
use std::io;
use std::marker::PhantomData;
use std::time::Duration;
use tokio::sync::mpsc;

/// The heartbeats and deadlines of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkTiming {
    /// How often a link sends something, if only a heartbeat.
    pub heartbeat: Duration,
    /// Silence after which the link is lost.
    pub idle_timeout: Duration,
    /// How long connecting may take.
    pub connect_timeout: Duration,
}

impl LinkTiming {
    /// A link that is lost after so much silence, and says something five times as often.
    pub fn of(idle_timeout: Duration) -> Self {
        let heartbeat = idle_timeout / 5;
        Self { heartbeat, idle_timeout, connect_timeout: limits::LINK_CONNECT_TIMEOUT }
    }
}

impl Default for LinkTiming {
    fn default() -> Self {
        Self::of(limits::LINK_IDLE_TIMEOUT)
    }
}

/// The link is closed; what was sent may or may not have arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the link is closed")]
pub struct LinkClosed;

/// One end of a link: sends `Out`, receives `In`. The link closes when either half is dropped, when
/// the peer closes, and when the peer is silent for too long.
pub struct Link<Out, In> {
    /// Clone it freely.
    pub sender: LinkSender<Out>,
    /// One reader.
    pub receiver: LinkReceiver<In>,
}

/// Sends messages: in order, coalesced into few writes.
pub struct LinkSender<Out> {
    outgoing: mpsc::UnboundedSender<Vec<u8>>,
    kind: PhantomData<fn(Out)>,
}

impl<Out> Clone for LinkSender<Out> {
    fn clone(&self) -> Self {
        Self { outgoing: self.outgoing.clone(), kind: PhantomData }
    }
}

impl<Out: Serialize> LinkSender<Out> {
    /// Puts a message in line, without waiting.
    pub fn send(&self, message: &Out) -> Result<(), LinkClosed> {
        self.outgoing.send(frame::encode(message, Place::Later)).map_err(|_| LinkClosed)
    }

    /// The same for what may be too long: the peer would close the link, and lose all that goes by it. Then
    /// something else is said in its place.
    pub fn send_or(&self, message: &Out, instead: impl FnOnce() -> Out) -> Result<(), LinkClosed> {
        let mut bytes = frame::encode(message, Place::Later);
        if !frame::is_taken(&bytes) {
            tracing::error!(bytes = bytes.len(), "a message is too long for a link");
            bytes = frame::encode(&instead(), Place::Later);
        }
        self.outgoing.send(bytes).map_err(|_| LinkClosed)
    }

    /// Whether the link is closed.
    pub fn is_closed(&self) -> bool {
        self.outgoing.is_closed()
    }
}

/// Receives messages in order.
pub struct LinkReceiver<In> {
    incoming: mpsc::Receiver<Vec<u8>>,
    pump: tokio::task::AbortHandle,
    kind: PhantomData<fn() -> In>,
}

impl<In: DeserializeOwned> LinkReceiver<In> {
    /// The next message; `None` when the link is closed (an undecodable message closes it).
    pub async fn recv(&mut self) -> Option<In> {
        let payload = self.incoming.recv().await?;
        match postcard::from_bytes(&payload) {
            Ok(message) => Some(message),
            Err(error) => {
                tracing::warn!(%error, "undecodable link message, closing");
                self.pump.abort();
                None
            }
        }
    }
}

impl<In> Drop for LinkReceiver<In> {
    fn drop(&mut self) {
        self.pump.abort();
    }
}

/// Connects to a node.
pub async fn connect<Out: Wire, In: Wire>(
    machine: &Machine,
    to: &str,
    timing: LinkTiming,
) -> io::Result<Link<Out, In>> {
    let stream =
        tokio::time::timeout(timing.connect_timeout, machine.network.connect(to)).await.map_err(
            |_| io::Error::new(io::ErrorKind::TimedOut, format!("connecting to {to}")),
        )??;
    Ok(over(machine, stream, timing))
}

/// A link over a connected stream: what a server does with an accepted one.
pub fn over<Out: Wire, In: Wire>(
    machine: &Machine,
    stream: Box<dyn Stream>,
    timing: LinkTiming,
) -> Link<Out, In> {
    let (outgoing, to_write) = mpsc::unbounded_channel();
    let (read, incoming) = mpsc::channel(64);
    let greetings = (Greeting::of::<Out>(), Greeting::of::<In>());
    let pump = Pump::new(stream, to_write, read, timing, greetings);
    let pump = machine.spawn("link", pump.run());
    Link {
        sender: LinkSender { outgoing, kind: PhantomData },
        receiver: LinkReceiver { incoming, pump, kind: PhantomData },
    }
}
