//! Real sockets, watched: what fails for want of a port, a descriptor or a name is counted as the
//! generator's own failure.

use crate::limits::Limits;
use crate::machine::Way;
use ports::{BoxFuture, Listener, Network, Stream};
use real::network::TcpNetwork;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

/// TCP, with a count of our own failures.
pub struct CountedNetwork {
    pub limits: Arc<Limits>,
    pub way: Way,
}

impl Network for CountedNetwork {
    fn bind<'a>(&'a self, at: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let listener = TcpNetwork.bind(at).await?;
            Ok(Box::new(CountedListener(listener, self.limits.clone())) as Box<dyn Listener>)
        })
    }

    fn connect<'a>(&'a self, to: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Stream>>> {
        Box::pin(async move {
            let at = self.way.through.get(to).map_or(to, |at| at);
            let stream = self.limits.attempt(match self.way.source {
                Some(source) => TcpNetwork.connect_from(source, at).await,
                None => TcpNetwork.connect(at).await,
            })?;
            match &self.way.trust {
                Some(trust) => trust.over(stream, to).await,
                None => Ok(stream),
            }
        })
    }
}

struct CountedListener(Box<dyn Listener>, Arc<Limits>);

impl Listener for CountedListener {
    fn accept(&self) -> BoxFuture<'_, io::Result<(Box<dyn Stream>, SocketAddr)>> {
        Box::pin(async move { self.0.accept().await.inspect_err(|error| self.1.failed(error)) })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    fn connections_max(&self) -> u32 {
        self.0.connections_max()
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
        let network = CountedNetwork { limits: Arc::default(), way: Way::default() };
        assert!(network.connect(&address).await.is_err());
        assert_eq!((network.limits.attempts(), network.limits.met()), ((1, 0), vec![]));
        // Too long to be asked for: names have 253 characters at most.
        let name = "x".repeat(300);
        assert!(network.connect(&format!("{name}:80")).await.is_err());
        assert_eq!(
            (network.limits.attempts(), network.limits.met()),
            ((2, 1), vec![("name_resolution", 1)])
        );
    }
}
