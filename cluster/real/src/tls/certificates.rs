//! The certificates of a process, as its listeners and links use them: they can be replaced while it runs.

use super::identity::{chain, key, provider, roots};
use super::{Admits, Identity, TlsError, Trust};
use ports::entered;
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, ServerConfig};
use std::fmt;
use std::sync::{Arc, Mutex};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// What is in force. Connections that have shaken hands keep what they shook them with.
pub struct Certificates(Mutex<Sides>);

/// The three ways to shake hands with one identity.
#[derive(Clone)]
struct Sides {
    anybody: TlsAcceptor,
    nodes: TlsAcceptor,
    trust: Trust,
}

impl fmt::Debug for Certificates {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Certificates").finish_non_exhaustive()
    }
}

impl Certificates {
    /// Those of an identity.
    ///
    /// # Errors
    /// What of it cannot be used.
    pub fn new(identity: &Identity) -> Result<Self, TlsError> {
        Ok(Self(Mutex::new(Sides::of(identity)?)))
    }

    /// From now on new connections show and believe these.
    ///
    /// # Errors
    /// What of them cannot be used: the earlier ones stay in force.
    pub fn replace(&self, identity: &Identity) -> Result<(), TlsError> {
        let sides = Sides::of(identity)?;
        *entered(self.0.lock()) = sides;
        Ok(())
    }

    pub(super) fn acceptor(&self, admits: Admits) -> TlsAcceptor {
        let sides = entered(self.0.lock());
        match admits {
            Admits::Anybody => sides.anybody.clone(),
            Admits::Nodes => sides.nodes.clone(),
        }
    }

    pub(super) fn trust(&self) -> Trust {
        entered(self.0.lock()).trust.clone()
    }
}

impl Sides {
    fn of(identity: &Identity) -> Result<Self, TlsError> {
        let roots = Arc::new(roots(&identity.authority)?);
        let server = || {
            ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()
        };
        let own = || Ok::<_, TlsError>((chain(identity)?, key(identity)?));
        let verifier =
            WebPkiClientVerifier::builder_with_provider(roots.clone(), provider()).build();
        let verifier = verifier.map_err(|error| TlsError::Authority(error.to_string()))?;
        let (certificates, key) = own()?;
        let anybody = server()?.with_no_client_auth().with_single_cert(certificates, key)?;
        let (certificates, key) = own()?;
        let nodes =
            server()?.with_client_cert_verifier(verifier).with_single_cert(certificates, key)?;
        let (certificates, key) = own()?;
        let client = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_client_auth_cert(certificates, key)?;
        Ok(Self {
            anybody: TlsAcceptor::from(Arc::new(anybody)),
            nodes: TlsAcceptor::from(Arc::new(nodes)),
            trust: Trust(TlsConnector::from(Arc::new(client))),
        })
    }
}
