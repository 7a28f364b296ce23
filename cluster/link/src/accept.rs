//! Accepting connections, for every server of the cluster: so many at a time, shared fairly where strangers
//! connect, and nothing that passes by itself ends a node.

use crate::shares::{NoPlace, Shares};
use nix::errno::Errno;
use ports::{Listener, Machine, Stream, Telemetry, entered};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

/// Most connections of a server at a time; the next ones wait in the backlog of its listener.
pub const CONNECTIONS_MAX: u32 = 16_384;

/// A pause after a failed accept: without one, a process that is out of file descriptors would spin.
const PAUSE: Duration = Duration::from_millis(50);

/// A listener with its limit.
pub struct Acceptor {
    listener: Box<dyn Listener>,
    telemetry: Arc<dyn Telemetry>,
    places: Arc<Semaphore>,
    connections_max: u32,
    sharing: Option<Sharing>,
    fails: bool,
    refuses: bool,
}

/// As whose a connection from an address counts; `None`: nobody's.
type Whose = Box<dyn Fn(IpAddr) -> Option<IpAddr> + Send + Sync>;

struct Sharing {
    shares: Arc<Mutex<Shares<IpAddr>>>,
    whose: Whose,
}

/// One of the connections that a server may have; to be held as long as the connection is open.
#[derive(Debug)]
pub struct Place {
    /// From where it comes.
    pub peer: SocketAddr,
    _share: Option<Share>,
    _permit: OwnedSemaphorePermit,
}

/// It counts as somebody's.
#[derive(Debug)]
struct Share {
    shares: Arc<Mutex<Shares<IpAddr>>>,
    whose: Option<IpAddr>,
}

impl Drop for Share {
    fn drop(&mut self) {
        entered(self.shares.lock()).give_back(self.whose.as_ref());
    }
}

impl Acceptor {
    /// Accepts at this listener, up to this number of open connections (at least one), or as many as the
    /// listener can have: shares of more than there are would be no shares.
    pub fn new(machine: &Machine, listener: Box<dyn Listener>, connections_max: u32) -> Self {
        let connections_max = connections_max.min(listener.connections_max()).max(1);
        let places = Arc::new(Semaphore::new(connections_max as usize));
        let telemetry = Arc::clone(&machine.telemetry);
        let (sharing, fails, refuses) = (None, false, false);
        Self { listener, telemetry, places, connections_max, sharing, fails, refuses }
    }

    /// The same, shared by whoever connects: nobody has more places than are still free, and a connection
    /// beyond that is closed at once. `whose`: as whose a connection from an address counts; `None`: nobody's,
    /// as that of a proxy, behind which are many.
    #[must_use]
    pub fn shared(
        mut self,
        whose: impl Fn(IpAddr) -> Option<IpAddr> + Send + Sync + 'static,
    ) -> Self {
        let shares = Arc::new(Mutex::new(Shares::new(self.connections_max as usize)));
        self.sharing = Some(Sharing { shares, whose: Box::new(whose) });
        self
    }

    /// The next connection. May be dropped at any time; nothing is lost.
    ///
    /// # Errors
    /// The listener is broken. A want of descriptors or memory, or a peer that went away before it was
    /// accepted, is none: then it waits and goes on.
    pub async fn next(&mut self) -> io::Result<(Box<dyn Stream>, Place)> {
        let permit = Arc::clone(&self.places).acquire_owned().await.expect("never closed");
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    self.fails = false;
                    if let Ok(share) = self.share(peer.ip()) {
                        return Ok((stream, Place { peer, _share: share, _permit: permit }));
                    }
                    self.telemetry.count("link_refused_connections_total", 1);
                }
                Err(error) if is_broken(&error) => return Err(error),
                Err(error) => {
                    // Once: a shortage may last.
                    if !std::mem::replace(&mut self.fails, true) {
                        tracing::warn!(%error, "cannot accept a connection, going on");
                    }
                    self.telemetry.count("link_failed_accepts_total", 1);
                    sleep(PAUSE).await;
                }
            }
        }
    }

    /// A share for a connection from this address, if they are counted.
    fn share(&mut self, address: IpAddr) -> Result<Option<Share>, NoPlace> {
        let Some(Sharing { shares, whose }) = &self.sharing else { return Ok(None) };
        let whose = whose(address);
        let mut counted = entered(shares.lock());
        let taken = counted.take(whose);
        // Once, until there is room again: whoever is refused may come back a thousand times a second.
        if counted.is_calm() {
            self.refuses = false;
        } else if taken.is_err() && !std::mem::replace(&mut self.refuses, true) {
            let open = counted.taken();
            tracing::warn!(%address, open, "an address has as many connections as are free, refusing more");
        }
        drop(counted);
        taken.map(|()| Some(Share { shares: Arc::clone(shares), whose }))
    }

    /// Ends when no connection is open.
    pub async fn all_closed(&self) {
        let _ = self.places.acquire_many(self.connections_max).await;
    }
}

/// Whether nothing can be accepted any more. All other errors of accept(2) pass, or are those of the
/// connection that would have been accepted; an error without a number is the adapter's own.
fn is_broken(error: &io::Error) -> bool {
    error.raw_os_error().map(Errno::from_raw).is_none_or(|errno| {
        matches!(errno, Errno::EBADF | Errno::EFAULT | Errno::EINVAL | Errno::ENOTSOCK)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use fakes::Memory;
    use ports::{BoxFuture, entered};
    use std::collections::VecDeque;
    use std::sync::Mutex;

    /// What accept does, one time after another: a connection from somebody, or an error.
    struct Script(Mutex<VecDeque<Result<IpAddr, Errno>>>);

    impl Listener for Script {
        fn accept(&self) -> BoxFuture<'_, io::Result<(Box<dyn Stream>, SocketAddr)>> {
            let next = entered(self.0.lock()).pop_front().expect("a longer script");
            Box::pin(async move {
                match next {
                    Err(errno) => Err(io::Error::from_raw_os_error(errno as i32)),
                    Ok(address) => Ok((Box::new(tokio::io::empty()) as _, (address, 1).into())),
                }
            })
        }

        fn local_addr(&self) -> io::Result<SocketAddr> {
            Ok(([127, 0, 0, 1], 1).into())
        }

        fn connections_max(&self) -> u32 {
            16
        }
    }

    fn address(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_leaves_places_for_others() {
        let memory = Memory::default();
        // Twenty from the first one, then one from another, five of a proxy, and again the first.
        let [first, second, proxy] = [1, 2, 9].map(address);
        let mut script = VecDeque::from([Ok(first)].repeat(20));
        script.push_back(Ok(second));
        script.extend([Ok(proxy)].repeat(5));
        script.extend([Ok(first), Err(Errno::EBADF)]);
        let listener = Box::new(Script(Mutex::new(script)));
        // Of the sixteen that there are.
        let acceptor = Acceptor::new(&memory.machine("server"), listener, 1_000);
        let mut acceptor = acceptor.shared(move |peer| (peer != proxy).then_some(peer));
        let mut places = Vec::new();
        while let Ok((_, place)) = acceptor.next().await {
            places.push(place);
        }
        let of = |whose: IpAddr| places.iter().filter(|place| place.peer.ip() == whose).count();
        assert_eq!([first, second, proxy].map(of), [8, 1, 5]);
        assert_eq!(memory.telemetry.counted("link_refused_connections_total"), 13);
        let shares = acceptor.sharing.as_ref().unwrap().shares.clone();
        assert_eq!(entered(shares.lock()).taken(), 14);
        drop(places);
        assert_eq!(entered(shares.lock()).taken(), 0);
        acceptor.all_closed().await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_passes_is_waited_for_and_a_broken_listener_is_told() {
        let memory = Memory::default();
        let passing = [Errno::EMFILE, Errno::ENFILE, Errno::ECONNABORTED, Errno::ENOBUFS];
        let mut script: VecDeque<_> = passing.repeat(100).into_iter().map(Err).collect();
        script.extend([Ok(address(1)), Err(Errno::EBADF)]);
        let listener = Box::new(Script(Mutex::new(script)));
        let mut acceptor = Acceptor::new(&memory.machine("server"), listener, 7);
        assert!(acceptor.next().await.is_ok());
        assert_eq!(memory.telemetry.counted("link_failed_accepts_total"), 400);
        let broken = acceptor.next().await.err().unwrap();
        assert_eq!(broken.raw_os_error(), Some(Errno::EBADF as i32));
    }
}
