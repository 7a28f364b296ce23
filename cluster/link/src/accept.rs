//! Accepting connections, for every server of the cluster: so many at a time, and nothing that passes
//! by itself ends a node.

use nix::errno::Errno;
use ports::{Listener, Machine, Stream, Telemetry};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
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
    fails: bool,
}

/// One of the connections that a server may have; to be held as long as the connection is open.
#[derive(Debug)]
pub struct Place {
    /// From where it comes.
    pub peer: SocketAddr,
    _permit: OwnedSemaphorePermit,
}

impl Acceptor {
    /// Accepts at this listener, up to this number of open connections (at least one).
    pub fn new(machine: &Machine, listener: Box<dyn Listener>, connections_max: u32) -> Self {
        let connections_max = connections_max.max(1);
        let places = Arc::new(Semaphore::new(connections_max as usize));
        let telemetry = Arc::clone(&machine.telemetry);
        Self { listener, telemetry, places, connections_max, fails: false }
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
                    return Ok((stream, Place { peer, _permit: permit }));
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

    /// What accept does, one time after another; `None`: a connection.
    struct Script(Mutex<VecDeque<Option<Errno>>>);

    impl Listener for Script {
        fn accept(&self) -> BoxFuture<'_, io::Result<(Box<dyn Stream>, SocketAddr)>> {
            let next = entered(self.0.lock()).pop_front().expect("a longer script");
            Box::pin(async move {
                match next {
                    Some(errno) => Err(io::Error::from_raw_os_error(errno as i32)),
                    None => Ok((Box::new(tokio::io::empty()) as _, self.local_addr()?)),
                }
            })
        }

        fn local_addr(&self) -> io::Result<SocketAddr> {
            Ok(([127, 0, 0, 1], 1).into())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_passes_is_waited_for_and_a_broken_listener_is_told() {
        let memory = Memory::default();
        let passing = [Errno::EMFILE, Errno::ENFILE, Errno::ECONNABORTED, Errno::ENOBUFS];
        let mut script: VecDeque<_> = passing.repeat(100).into_iter().map(Some).collect();
        script.extend([None, Some(Errno::EBADF)]);
        let listener = Box::new(Script(Mutex::new(script)));
        let mut acceptor = Acceptor::new(&memory.machine("server"), listener, 7);
        assert!(acceptor.next().await.is_ok());
        assert_eq!(memory.telemetry.counted("link_failed_accepts_total"), 400);
        let broken = acceptor.next().await.err().unwrap();
        assert_eq!(broken.raw_os_error(), Some(Errno::EBADF as i32));
    }
}
