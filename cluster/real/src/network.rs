//! TCP of the operating system.

use crate::descriptors::{self, reserve};
use nix::errno::Errno;
use nix::libc::linger;
#[cfg(target_os = "linux")]
use nix::sys::socket::sockopt::IpBindAddressNoPort;
use nix::sys::socket::{setsockopt, sockopt::Linger};
use ports::{BoxFuture, Listener, Network, Stream};
use std::any::Any;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsRawFd, RawFd};
use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};

/// Handshakes that may wait for a busy node, if the system allows as many (`net.core.somaxconn`). Those beyond
/// are dropped, and tried again after seconds.
const BACKLOG: u32 = 4_096;

/// TCP sockets with Nagle's algorithm off: frames are coalesced by whoever writes them.
#[derive(Clone, Copy, Debug)]
pub struct TcpNetwork;

impl Network for TcpNetwork {
    fn bind<'a>(&'a self, at: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let mut why = io::Error::other(format!("no address of {at}"));
            for address in find(at).await? {
                match listen(address) {
                    Ok(listener) => return Ok(Box::new(Bound(listener)) as Box<dyn Listener>),
                    Err(error) => why = error,
                }
            }
            Err(why)
        })
    }

    fn connect<'a>(&'a self, to: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Stream>>> {
        Box::pin(async move {
            let addresses = find(to).await?;
            #[expect(clippy::disallowed_methods, reason = "this is the adapter")]
            let stream = TcpStream::connect(&addresses[..]).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }
}

impl TcpNetwork {
    /// As `connect`, and from a loopback address of one's own if `to` is one, too: each has local ports of
    /// its own.
    pub async fn connect_from(self, source: Ipv4Addr, to: &str) -> io::Result<Box<dyn Stream>> {
        let found = find(to).await?;
        let there = found.first().filter(|there| there.is_ipv4() && there.ip().is_loopback());
        let Some(there) = there else { return self.connect(to).await };
        let socket = TcpSocket::new_v4()?;
        // The port is chosen with the peer in view; without this it must be free towards everybody.
        #[cfg(target_os = "linux")]
        setsockopt(&socket, IpBindAddressNoPort, &true)?;
        socket.bind((source, 0).into())?;
        let stream = socket.connect(*there).await?;
        stream.set_nodelay(true)?;
        Ok(Box::new(stream))
    }
}

fn listen(at: SocketAddr) -> io::Result<TcpListener> {
    let socket = if at.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // As a restarted node finds its port.
    socket.set_reuseaddr(true)?;
    socket.bind(at)?;
    socket.listen(BACKLOG)
}

/// An address that is no name is not looked up.
async fn find(to: &str) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = to.parse() {
        return Ok(vec![address]);
    }
    let found = lookup_host(to).await.map_err(|source| NotFound { name: to.into(), source });
    Ok(found.map_err(io::Error::other)?.collect())
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
    u64::from(descriptor.unsigned_abs()) >= most - reserve(most)
}

impl Listener for Bound {
    fn accept(&self) -> BoxFuture<'_, io::Result<(Box<dyn Stream>, SocketAddr)>> {
        Box::pin(async move {
            let (stream, peer) = self.0.accept().await?;
            if is_reserved(stream.as_raw_fd(), descriptors::most()) {
                return Err(Errno::EMFILE.into());
            }
            stream.set_nodelay(true)?;
            Ok((Box::new(stream) as Box<dyn Stream>, peer))
        })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    fn connections_max(&self) -> u32 {
        let most = descriptors::most();
        u32::try_from(most - reserve(most)).unwrap_or(u32::MAX)
    }
}

/// Of a socket: what is under way is dropped when it is closed, and its peer gets a reset (`SO_LINGER` of socket(7)).
pub fn reset_when_closed(stream: &dyn Stream) {
    let any: &dyn Any = stream;
    if let Some(socket) = any.downcast_ref::<TcpStream>() {
        // A peer that is gone hears of nothing.
        let _ = setsockopt(socket, Linger, &linger { l_onoff: 1, l_linger: 0 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    #[tokio::test]
    async fn hundreds_of_handshakes_may_wait_for_a_node_that_is_busy() {
        let listener = TcpNetwork.bind("127.0.0.1:0").await.expect("a free port");
        let at = listener.local_addr().expect("bound").to_string();
        // Longer than it takes, shorter than until a dropped handshake is tried for the second time.
        let patience = Duration::from_millis(900);
        let mut waiting = Vec::new();
        for _ in 0..500 {
            let connecting = timeout(patience, TcpNetwork.connect(&at)).await;
            waiting.push(connecting.expect("not dropped").expect("connected"));
        }
    }

    #[test]
    fn whoever_connects_leaves_some_descriptors() {
        for (most, first) in [(1_024, 896), (300, 225), (100, 75)] {
            assert!(!is_reserved(first - 1, most) && is_reserved(first, most), "{most}");
        }
        assert!(!is_reserved(RawFd::MAX, u64::MAX));
    }
}
