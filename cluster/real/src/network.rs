//! TCP of the operating system.

use ports::{BoxFuture, Listener, Network, Stream};
use std::io;
use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpStream, lookup_host};

/// TCP sockets with Nagle's algorithm off: frames are coalesced by whoever writes them.
#[derive(Clone, Copy, Debug)]
pub struct TcpNetwork;

impl Network for TcpNetwork {
    fn bind<'a>(&'a self, at: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            #[expect(clippy::disallowed_methods, reason = "this is the adapter")]
            let listener = TcpListener::bind(at).await?;
            Ok(Box::new(Bound(listener)) as Box<dyn Listener>)
        })
    }

    fn connect<'a>(&'a self, to: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Stream>>> {
        Box::pin(async move {
            // An address that is no name is not looked up.
            let found =
                lookup_host(to).await.map_err(|source| NotFound { name: to.into(), source });
            let addresses: Vec<SocketAddr> = found.map_err(io::Error::other)?.collect();
            #[expect(clippy::disallowed_methods, reason = "this is the adapter")]
            let stream = TcpStream::connect(&addresses[..]).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }
}

/// No address was found for the name of a peer, which was not even asked. Inside of an [`io::Error`].
#[derive(Debug, thiserror::Error)]
#[error("no address of {name}")]
pub struct NotFound {
    name: String,
    source: io::Error,
}

struct Bound(TcpListener);

impl Listener for Bound {
    fn accept(&self) -> BoxFuture<'_, io::Result<(Box<dyn Stream>, SocketAddr)>> {
        Box::pin(async move {
            let (stream, peer) = self.0.accept().await?;
            stream.set_nodelay(true)?;
            Ok((Box::new(stream) as Box<dyn Stream>, peer))
        })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}
