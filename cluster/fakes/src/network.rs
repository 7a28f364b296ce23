//! Pipes between names, which can be cut.

use ports::{BoxFuture, Listener, Network, Stream, entered};
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::{DuplexStream, copy_bidirectional};
use tokio::sync::{Mutex as AsyncMutex, mpsc, watch};

/// Bytes that an end of a connection holds for a peer that does not read.
const BUFFER: usize = 64 * 1024;

/// All hosts on one network.
#[derive(Default)]
pub struct FakeNetwork {
    listeners: Mutex<BTreeMap<String, mpsc::UnboundedSender<DuplexStream>>>,
    connections: AtomicU64,
    cut: watch::Sender<()>,
}

impl FakeNetwork {
    /// How many connections were made.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Nobody listens there any more.
    pub fn close(&self, at: &str) {
        entered(self.listeners.lock()).remove(at);
    }

    /// Every connection ends, as if both hosts' kernels had said so; new ones can be made.
    pub fn cut(&self) {
        self.cut.send_replace(());
    }
}

impl Network for FakeNetwork {
    fn bind<'a>(&'a self, at: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        let (sender, receiver) = mpsc::unbounded_channel();
        entered(self.listeners.lock()).insert(at.to_owned(), sender);
        let listener: Box<dyn Listener> = Box::new(FakeListener(AsyncMutex::new(receiver)));
        Box::pin(std::future::ready(Ok(listener)))
    }

    #[expect(clippy::disallowed_methods, reason = "the network's own task, which no host owns")]
    fn connect<'a>(&'a self, to: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Stream>>> {
        Box::pin(async move {
            let refused = || io::Error::new(io::ErrorKind::ConnectionRefused, to.to_owned());
            let listener = entered(self.listeners.lock()).get(to).cloned().ok_or_else(refused)?;
            let (near, mut near_end) = tokio::io::duplex(BUFFER);
            let (far, mut far_end) = tokio::io::duplex(BUFFER);
            listener.send(far).map_err(|_| refused())?;
            self.connections.fetch_add(1, Ordering::Relaxed);
            let mut cut = self.cut.subscribe();
            tokio::spawn(async move {
                tokio::select! {
                    biased;
                    _ = cut.changed() => {}
                    // However it ends, both pipes end with it.
                    _ = copy_bidirectional(&mut near_end, &mut far_end) => {}
                }
            });
            Ok(Box::new(near) as Box<dyn Stream>)
        })
    }
}

struct FakeListener(AsyncMutex<mpsc::UnboundedReceiver<DuplexStream>>);

impl Listener for FakeListener {
    fn accept(&self) -> BoxFuture<'_, io::Result<(Box<dyn Stream>, SocketAddr)>> {
        Box::pin(async move {
            match self.0.lock().await.recv().await {
                Some(stream) => Ok((Box::new(stream) as Box<dyn Stream>, self.local_addr()?)),
                None => std::future::pending().await,
            }
        })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, 1)))
    }
}
