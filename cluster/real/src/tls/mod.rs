//! TLS over TCP, as one more network: whoever binds and connects does not notice.
//!
//! Nodes know each other by certificates of one authority (mutual TLS): a node shows its own, checks that the
//! other's was signed by the authority and, when it connects, that it is good for the host in the address. A
//! gateway lets anybody in, and shows its certificate.

mod handshake;

use crate::network::TcpNetwork;
use handshake::Accepted;
use ports::{BoxFuture, Listener, Network, Stream};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// What a node needs, in PEM.
#[derive(Clone)]
pub struct Identity {
    /// Who signs the certificates of nodes.
    pub authority: String,
    /// The node's own, with what lies between it and the authority.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

impl fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Identity").finish_non_exhaustive()
    }
}

/// Why there can be no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file of the authority has none, or something else.
    #[error("the authority holds no certificate that can be used: {0}")]
    Authority(String),
    /// That of the node.
    #[error("there is no certificate that can be used: {0}")]
    Certificate(String),
    /// That of its key.
    #[error("there is no private key that can be used: {0}")]
    Key(String),
    /// Other nodes would refuse the certificate.
    #[error("the certificate would be refused {0}")]
    Refused(String, #[source] rustls::Error),
    /// The certificate and the key do not go together, or the library refuses its own defaults.
    #[error("TLS cannot be set up")]
    Library(#[from] rustls::Error),
}

impl Identity {
    /// Whether other nodes will believe this one: that the authority has signed its certificate, that it is valid
    /// by now, good for a client, and good for a server at these hosts.
    ///
    /// # Errors
    /// By whom it would be refused, and why.
    pub fn check<'a>(&self, hosts: impl Iterator<Item = &'a str>) -> Result<(), TlsError> {
        let roots = Arc::new(roots(&self.authority)?);
        let chain = chain(self)?;
        let (own, between) = chain.split_first().expect("it is not empty");
        let now = UnixTime::now();
        let unusable = |error: &dyn fmt::Display| TlsError::Authority(error.to_string());
        let servers =
            WebPkiClientVerifier::builder_with_provider(roots.clone(), provider()).build();
        let servers = servers.map_err(|error| unusable(&error))?;
        let refused = servers.verify_client_cert(own, between, now).err();
        if let Some(error) = refused {
            return Err(TlsError::Refused("by nodes to which this one connects".to_owned(), error));
        }
        let clients = WebPkiServerVerifier::builder_with_provider(roots, provider()).build();
        let clients = clients.map_err(|error| unusable(&error))?;
        for host in hosts {
            let name = ServerName::try_from(host).map_err(|error| unusable(&error))?;
            let verified = clients.verify_server_cert(own, between, &name, &[], now);
            verified.map_err(|error| TlsError::Refused(format!("as that of {host}"), error))?;
        }
        Ok(())
    }
}

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
    acceptor: TlsAcceptor,
    trust: Trust,
    plain: Vec<String>,
}

impl fmt::Debug for TlsNetwork {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("TlsNetwork").field("plain", &self.plain).finish_non_exhaustive()
    }
}

impl TlsNetwork {
    /// With an identity; `plain`: addresses at which no node is, and that are not encrypted.
    ///
    /// # Errors
    /// What of the identity cannot be used.
    pub fn new(identity: &Identity, admits: Admits, plain: Vec<String>) -> Result<Self, TlsError> {
        let roots = Arc::new(roots(&identity.authority)?);
        let server = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?;
        let server = match admits {
            Admits::Anybody => server.with_no_client_auth(),
            Admits::Nodes => {
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(roots.clone(), provider()).build();
                let verifier = verifier.map_err(|error| TlsError::Authority(error.to_string()))?;
                server.with_client_cert_verifier(verifier)
            }
        };
        let server = server.with_single_cert(chain(identity)?, key(identity)?)?;
        let client = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain(identity)?, key(identity)?)?;
        let acceptor = TlsAcceptor::from(Arc::new(server));
        Ok(Self { acceptor, trust: Trust(TlsConnector::from(Arc::new(client))), plain })
    }
}

impl Network for TlsNetwork {
    fn bind<'a>(&'a self, at: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let listener = TcpNetwork.bind(at).await?;
            let acceptor = self.acceptor.clone();
            Ok(Box::new(Encrypted { listener, acceptor }) as Box<dyn Listener>)
        })
    }

    fn connect<'a>(&'a self, to: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Stream>>> {
        Box::pin(async move {
            let stream = TcpNetwork.connect(to).await?;
            if self.plain.iter().any(|plain| plain == to) {
                return Ok(stream);
            }
            self.trust.over(stream, to).await
        })
    }
}

/// A listener whose connections shake hands when they are first used: nobody who is slow holds up the next.
struct Encrypted {
    listener: Box<dyn Listener>,
    acceptor: TlsAcceptor,
}

impl Listener for Encrypted {
    fn accept(&self) -> BoxFuture<'_, io::Result<(Box<dyn Stream>, SocketAddr)>> {
        Box::pin(async move {
            let (stream, peer) = self.listener.accept().await?;
            let accepted = Accepted::new(self.acceptor.accept(stream));
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

/// By name: two crates of this program choose different defaults.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn roots(authority: &str) -> Result<RootCertStore, TlsError> {
    let unusable = |why: &dyn fmt::Display| TlsError::Authority(why.to_string());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(authority.as_bytes()) {
        let certificate = certificate.map_err(|error| unusable(&error))?;
        roots.add(certificate).map_err(|error| unusable(&error))?;
    }
    if roots.is_empty() { Err(unusable(&"it holds none")) } else { Ok(roots) }
}

fn chain(identity: &Identity) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unusable = |why: &dyn fmt::Display| TlsError::Certificate(why.to_string());
    let pem = CertificateDer::pem_slice_iter(identity.certificate.as_bytes());
    let chain: Vec<_> = pem.collect::<Result<_, _>>().map_err(|error| unusable(&error))?;
    if chain.is_empty() { Err(unusable(&"it holds none")) } else { Ok(chain) }
}

fn key(identity: &Identity) -> Result<PrivateKeyDer<'static>, TlsError> {
    if identity.key.contains("ENCRYPTED") {
        return Err(TlsError::Key("it is encrypted with a password".to_owned()));
    }
    PrivateKeyDer::from_pem_slice(identity.key.as_bytes())
        .map_err(|error| TlsError::Key(error.to_string()))
}

#[cfg(test)]
mod tests;
