//! TCP of the operating system.

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit};
use ports::{BoxFuture, Listener, Network, Stream};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use tokio::net::{TcpListener, TcpStream, lookup_host};

/// Descriptors that whoever connects leaves to the process, or a quarter if it has few: for its files, and
/// for the connections that it makes itself: 64 for pushes, 32 for each gateway's logins. A node whose log cannot open its next
/// segment would stop the chat of everybody.
const RESERVED: u64 = 128;

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

/// Whether a new descriptor is one of those that are kept back. The system gives the lowest that is free,
/// so that a high one says that few are left.
fn is_reserved(descriptor: RawFd, most: u64) -> bool {
    u64::from(descriptor.unsigned_abs()) >= most - RESERVED.min(most / 4)
}

impl Listener for Bound {
    fn accept(&self) -> BoxFuture<'_, io::Result<(Box<dyn Stream>, SocketAddr)>> {
        Box::pin(async move {
            let (stream, peer) = self.0.accept().await?;
            let most = getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(soft, _)| soft);
            if is_reserved(stream.as_raw_fd(), most) {
                return Err(Errno::EMFILE.into());
            }
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

    #[test]
    fn whoever_connects_leaves_some_descriptors() {
        for (most, first) in [(1_024, 896), (300, 225), (100, 75)] {
            assert!(!is_reserved(first - 1, most) && is_reserved(first, most), "{most}");
        }
        assert!(!is_reserved(RawFd::MAX, u64::MAX));
    }
}
