//! Byte streams between nodes and from clients.

use crate::BoxFuture;
use std::any::Any;
use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncWrite};

/// A connected byte stream; whoever knows its type can ask for it.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin + Any {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin + Any> Stream for T {}

/// Where a node's connections come from.
pub trait Network: Send + Sync {
    /// Listens at `host:port`; port 0 picks a free one.
    fn bind<'a>(&'a self, at: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Listener>>>;
    /// Connects to `host:port`. May hang for as long as the network stalls: give it a deadline.
    fn connect<'a>(&'a self, to: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Stream>>>;
}

/// A bound socket.
pub trait Listener: Send + Sync {
    /// The next connection and its peer.
    fn accept(&self) -> BoxFuture<'_, io::Result<(Box<dyn Stream>, SocketAddr)>>;
    /// Where it listens.
    fn local_addr(&self) -> io::Result<SocketAddr>;
    /// How many connections it can have open at a time, whoever accepts them.
    fn connections_max(&self) -> u32 {
        u32::MAX
    }
}
