//! A network whose wires can be cut.

use ports::{BoxFuture, Listener, Network, Stream};
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use tokio::io::{DuplexStream, copy_bidirectional};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

type Backlog = mpsc::UnboundedSender<DuplexStream>;

/// All wires.
#[derive(Default)]
pub struct Wires {
    listeners: Mutex<BTreeMap<String, Backlog>>,
    connected: Mutex<Vec<AbortHandle>>,
}

impl Wires {
    /// Every connection breaks; new ones can be made.
    pub fn cut(&self) {
        for wire in self.connected.lock().unwrap().drain(..) {
            wire.abort();
        }
    }
}

impl Network for Wires {
    fn bind<'a>(&'a self, at: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let (sender, backlog) = mpsc::unbounded_channel();
            self.listeners.lock().unwrap().insert(at.to_owned(), sender);
            let backlog = tokio::sync::Mutex::new(backlog);
            Ok(Box::new(Bound(Arc::new(backlog))) as Box<dyn Listener>)
        })
    }

    #[expect(clippy::disallowed_methods, reason = "the wire outlives both hosts")]
    fn connect<'a>(&'a self, to: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Stream>>> {
        Box::pin(async move {
            let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
            let listener = self.listeners.lock().unwrap().get(to).cloned().ok_or_else(refused)?;
            let (near, mut near_end) = tokio::io::duplex(64 * 1024);
            let (far, mut far_end) = tokio::io::duplex(64 * 1024);
            listener.send(far).map_err(|_| refused())?;
            let wire = tokio::spawn(async move {
                let _ = copy_bidirectional(&mut near_end, &mut far_end).await;
            });
            self.connected.lock().unwrap().push(wire.abort_handle());
            Ok(Box::new(near) as Box<dyn Stream>)
        })
    }
}

struct Bound(Arc<tokio::sync::Mutex<mpsc::UnboundedReceiver<DuplexStream>>>);

impl Listener for Bound {
    fn accept(&self) -> BoxFuture<'_, io::Result<(Box<dyn Stream>, SocketAddr)>> {
        Box::pin(async move {
            let stream = self.0.lock().await.recv().await.ok_or(io::ErrorKind::NotConnected)?;
            Ok((Box::new(stream) as Box<dyn Stream>, (Ipv4Addr::LOCALHOST, 1).into()))
        })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok((Ipv4Addr::LOCALHOST, 1).into())
    }
}
