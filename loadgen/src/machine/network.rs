//! The network port over real sockets.
//!
//! What fails for want of a port, a descriptor or a name is counted as the generator's own failure.

use crate::limits::Limits;
use ports::{BoxFuture, Listener, Network, Stream};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream, lookup_host};

/// TCP, without delays for small writes: frames are coalesced above.
pub struct TcpNetwork(pub Arc<Limits>);

impl Network for TcpNetwork {
    #[expect(clippy::disallowed_methods, reason = "this is the adapter behind the port")]
    fn bind<'a>(&'a self, at: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let listener = TcpListener::bind(at).await?;
            Ok(Box::new(Bound(listener, self.0.clone())) as Box<dyn Listener>)
        })
    }

    fn connect<'a>(&'a self, to: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Stream>>> {
        Box::pin(async move {
            let stream = self.0.attempt(connect(to, &self.0).await)?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the adapter behind the port")]
async fn connect(to: &str, limits: &Limits) -> io::Result<TcpStream> {
    // An address that is no name is not looked up.
    let found = lookup_host(to).await.inspect_err(|_| limits.unresolved());
    let addresses: Vec<SocketAddr> = found?.collect();
    let stream = TcpStream::connect(&addresses[..]).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

struct Bound(TcpListener, Arc<Limits>);

impl Listener for Bound {
    fn accept(&self) -> BoxFuture<'_, io::Result<(Box<dyn Stream>, SocketAddr)>> {
        Box::pin(async move {
            let (stream, peer) = self.0.accept().await.inspect_err(|error| self.1.failed(error))?;
            stream.set_nodelay(true)?;
            Ok((Box::new(stream) as Box<dyn Stream>, peer))
        })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_peer_that_refuses_is_no_limit_and_a_name_that_nobody_knows_is() {
        let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = free.local_addr().unwrap().to_string();
        drop(free);
        let network = TcpNetwork(Arc::default());
        assert!(network.connect(&address).await.is_err());
        assert_eq!((network.0.attempts(), network.0.met()), ((1, 0), vec![]));
        // Too long to be asked for: names have 253 characters at most.
        let name = "x".repeat(300);
        assert!(network.connect(&format!("{name}:80")).await.is_err());
        assert_eq!((network.0.attempts(), network.0.met()), ((2, 1), vec![("name_resolution", 1)]));
    }
}
