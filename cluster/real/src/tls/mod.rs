//! TLS over TCP, as one more network: whoever binds and connects does not notice.
//!
//! Nodes know each other by certificates of one authority (mutual TLS): a node shows its own, checks that the
//! other's was signed by the authority and, when it connects, that it is good for the host in the address. A
//! gateway lets anybody in, and shows its certificate.

mod certificates;
mod handshake;
mod identity;
mod renewal;

pub use certificates::Certificates;
pub use identity::{EXPIRES, Identity, TlsError};
pub use renewal::Renewal;

use crate::network::TcpNetwork;
use handshake::Accepted;
use identity::{provider, roots};
use ports::{BoxFuture, Listener, Network, Stream};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio_rustls::TlsConnector;

/// Whom a listener lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admits {
    /// Whoever comes: clients.
    Anybody,
    /// Whoever has a certificate of the authority.
    Nodes,
}

/// The network of a node.
pub struct TlsNetwork {
    certificates: Arc<Certificates>,
    admits: Admits,
    plain: Vec<String>,
}

impl fmt::Debug for TlsNetwork {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("TlsNetwork").field("plain", &self.plain).finish_non_exhaustive()
    }
}

impl TlsNetwork {
    /// With the certificates of a process; `plain`: addresses at which no node is, and that are not encrypted.
    pub fn new(certificates: Arc<Certificates>, admits: Admits, plain: Vec<String>) -> Self {
        Self { certificates, admits, plain }
    }
}

impl Network for TlsNetwork {
    fn bind<'a>(&'a self, at: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let listener = TcpNetwork.bind(at).await?;
            let (certificates, admits) = (self.certificates.clone(), self.admits);
            Ok(Box::new(Encrypted { listener, certificates, admits }) as Box<dyn Listener>)
        })
    }

    fn connect<'a>(&'a self, to: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Stream>>> {
        Box::pin(async move {
            let stream = TcpNetwork.connect(to).await?;
            if self.plain.iter().any(|plain| plain == to) {
                return Ok(stream);
            }
            self.certificates.trust().over(stream, to).await
        })
    }
}

/// A listener whose connections shake hands when they are first used: nobody who is slow holds up the next.
struct Encrypted {
    listener: Box<dyn Listener>,
    certificates: Arc<Certificates>,
    admits: Admits,
}

impl Listener for Encrypted {
    fn accept(&self) -> BoxFuture<'_, io::Result<(Box<dyn Stream>, SocketAddr)>> {
        Box::pin(async move {
            let (stream, peer) = self.listener.accept().await?;
            let accepted = Accepted::new(self.certificates.acceptor(self.admits).accept(stream));
            Ok((Box::new(accepted) as Box<dyn Stream>, peer))
        })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    fn connections_max(&self) -> u32 {
        self.listener.connections_max()
    }
}

/// Whom a client trusts.
#[derive(Clone)]
pub struct Trust(TlsConnector);

impl fmt::Debug for Trust {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Trust").finish_non_exhaustive()
    }
}

impl Trust {
    /// Certificates of this authority (PEM), and no others.
    ///
    /// # Errors
    /// There is none in it.
    pub fn new(authority: &str) -> Result<Self, TlsError> {
        Self::in_these(roots(authority)?)
    }

    /// Certificates that the system trusts, as browsers do.
    ///
    /// # Errors
    /// The system has none.
    pub fn of_system() -> Result<Self, TlsError> {
        let system = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(system.certs);
        if roots.is_empty() {
            let why = system.errors.first().map(ToString::to_string);
            let why = why.unwrap_or_else(|| "the system has none".to_owned());
            return Err(TlsError::Authority(why));
        }
        Self::in_these(roots)
    }

    /// The network of a client whose every connection is encrypted.
    pub fn network(self) -> TrustingNetwork {
        TrustingNetwork(self)
    }

    fn in_these(roots: RootCertStore) -> Result<Self, TlsError> {
        let client = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(TlsConnector::from(Arc::new(client))))
    }

    /// For a client that makes its own connections.
    pub fn client_config(&self) -> ClientConfig {
        ClientConfig::clone(self.0.config())
    }

    /// Shakes hands over a stream to `host:port`.
    ///
    /// # Errors
    /// The other side is not who it should be, or does not speak TLS, or went away.
    pub async fn over(&self, stream: Box<dyn Stream>, to: &str) -> io::Result<Box<dyn Stream>> {
        let name = ServerName::try_from(host(to).to_owned()).map_err(io::Error::other)?;
        Ok(Box::new(self.0.connect(name, stream).await?))
    }
}

/// What `Trust::network` makes. Nobody listens on it.
#[derive(Clone, Debug)]
pub struct TrustingNetwork(Trust);

impl Network for TrustingNetwork {
    fn bind<'a>(&'a self, _: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
    }

    fn connect<'a>(&'a self, to: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Stream>>> {
        Box::pin(async move { self.0.over(TcpNetwork.connect(to).await?, to).await })
    }
}

/// Of `host:port`.
pub fn host(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

#[cfg(test)]
mod tests;
