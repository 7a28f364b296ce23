//! Who a node is: its certificate, its key and the authority that it trusts.

use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use std::fmt;
use std::sync::Arc;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

/// The gauge of when the certificate of a node runs out.
pub const EXPIRES: &str = "tls_certificate_expires_timestamp_seconds";

/// What a node needs, in PEM.
#[derive(Clone, PartialEq, Eq)]
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

    /// When its certificate runs out, in seconds since 1970, if that can be read: [`EXPIRES`] tells it.
    pub fn expires(&self) -> Option<u64> {
        let certificate = chain(self).ok()?.into_iter().next()?;
        let (_, parsed) = X509Certificate::from_der(&certificate).ok()?;
        Some(u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or(0))
    }
}

/// By name: two crates of this program choose different defaults.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

pub(super) fn roots(authority: &str) -> Result<RootCertStore, TlsError> {
    let unusable = |why: &dyn fmt::Display| TlsError::Authority(why.to_string());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(authority.as_bytes()) {
        let certificate = certificate.map_err(|error| unusable(&error))?;
        roots.add(certificate).map_err(|error| unusable(&error))?;
    }
    if roots.is_empty() { Err(unusable(&"it holds none")) } else { Ok(roots) }
}

pub(super) fn chain(identity: &Identity) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unusable = |why: &dyn fmt::Display| TlsError::Certificate(why.to_string());
    let pem = CertificateDer::pem_slice_iter(identity.certificate.as_bytes());
    let chain: Vec<_> = pem.collect::<Result<_, _>>().map_err(|error| unusable(&error))?;
    if chain.is_empty() { Err(unusable(&"it holds none")) } else { Ok(chain) }
}

pub(super) fn key(identity: &Identity) -> Result<PrivateKeyDer<'static>, TlsError> {
    if identity.key.contains("ENCRYPTED") {
        return Err(TlsError::Key("it is encrypted with a password".to_owned()));
    }
    PrivateKeyDer::from_pem_slice(identity.key.as_bytes())
        .map_err(|error| TlsError::Key(error.to_string()))
}
