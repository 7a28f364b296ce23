//! The network port over real sockets.

use ports::{BoxFuture, Listener, Network, Stream};
use std::io;
use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpStream};

/// TCP, without delays for small writes: frames are coalesced above.
pub struct TcpNetwork;

impl Network for TcpNetwork {
    #[expect(clippy::disallowed_methods, reason = "this is the adapter behind the port")]
    fn bind<'a>(&'a self, at: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let listener = TcpListener::bind(at).await?;
            Ok(Box::new(Bound(listener)) as Box<dyn Listener>)
        })
    }

    #[expect(clippy::disallowed_methods, reason = "this is the adapter behind the port")]
    fn connect<'a>(&'a self, to: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Stream>>> {
        Box::pin(async move {
            let stream = TcpStream::connect(to).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }
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
