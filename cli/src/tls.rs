//! The network of nodes: encrypted, if the configuration says so.

use campaign::InvalidUsage;
use campaign::lookup::read_text;
use node::{ClusterConfig, Role};
use ports::Network;
use protocol::TlsFiles;
use real::network::TcpNetwork;
use real::tls::{Admits, Identity, TlsError, TlsNetwork, Trust, host};
use std::sync::Arc;

/// What nodes of this configuration bind and connect on.
pub struct Networks {
    identity: Option<Identity>,
    plain: Vec<String>,
}

impl Networks {
    /// Reads the files of TLS, if there is any, for nodes at these addresses (`host:port`).
    ///
    /// # Errors
    /// One of them cannot be read, holds nothing that can be used, or would be refused by other nodes.
    pub fn of<'a>(
        config: &ClusterConfig,
        addresses: impl Iterator<Item = &'a str>,
    ) -> Result<Self, InvalidUsage> {
        let identity = config.tls.as_ref().map(identity).transpose()?;
        // It is no node.
        let plain = vec![config.topology.push_provider.clone()];
        let networks = Self { identity, plain };
        if let (Some(files), Some(identity)) = (&config.tls, &networks.identity) {
            let good = networks.tls(Admits::Nodes);
            let good = good.and_then(|_| identity.check(addresses.map(host)));
            good.map_err(|error| refused(files, &error))?;
        }
        Ok(networks)
    }

    /// That of a node.
    pub fn of_role(&self, role: Role) -> Arc<dyn Network> {
        let admits = if role == Role::Gateway { Admits::Anybody } else { Admits::Nodes };
        match self.tls(admits).expect("it was good at the start") {
            Some(encrypted) => Arc::new(encrypted),
            None => Arc::new(TcpNetwork),
        }
    }

    /// That on which a node serves its numbers, to whoever asks.
    pub fn of_numbers(&self, config: &ClusterConfig) -> Arc<dyn Network> {
        if config.tls.as_ref().is_some_and(|files| files.metrics) {
            self.of_role(Role::Gateway)
        } else {
            Arc::new(TcpNetwork)
        }
    }

    fn tls(&self, admits: Admits) -> Result<Option<TlsNetwork>, TlsError> {
        let encrypted = |identity| TlsNetwork::new(identity, admits, self.plain.clone());
        self.identity.as_ref().map(encrypted).transpose()
    }
}

/// How gateways of this configuration reach the issuer outside, if there is one.
///
/// # Errors
/// There is no certificate that its server can be trusted by.
pub fn issuer_network(config: &ClusterConfig) -> Result<Option<Arc<dyn Network>>, InvalidUsage> {
    let Some(oidc) = &config.oidc else { return Ok(None) };
    if !oidc.is_encrypted() {
        return Ok(Some(Arc::new(TcpNetwork)));
    }
    let trusted = match &oidc.authority {
        Some(file) => trust("oidc.authority", file)?,
        None => Trust::of_system().map_err(|error| {
            InvalidUsage(format!("oidc.issuer: {}", ports::with_causes(&error)))
        })?,
    };
    Ok(Some(Arc::new(trusted.network())))
}

/// With the key and the file that it is about.
fn refused(files: &TlsFiles, error: &TlsError) -> InvalidUsage {
    let (key, file) = match error {
        TlsError::Authority(_) => ("authority", &files.authority),
        TlsError::Key(_) => ("key", &files.key),
        TlsError::Certificate(_) | TlsError::Refused(..) | TlsError::Library(_) => {
            ("certificate", &files.certificate)
        }
    };
    InvalidUsage(format!("tls.{key}: {file}: {}", ports::with_causes(error)))
}

fn identity(files: &TlsFiles) -> Result<Identity, InvalidUsage> {
    Ok(Identity {
        authority: read("tls.authority", &files.authority)?,
        certificate: read("tls.certificate", &files.certificate)?,
        key: read("tls.key", &files.key)?,
    })
}

/// Whom clients of a cluster trust that has this authority.
///
/// # Errors
/// It cannot be read, or holds no certificate.
pub fn trust(key: &str, file: &str) -> Result<Trust, InvalidUsage> {
    let why = |error| InvalidUsage(format!("{key}: {file}: {}", ports::with_causes(&error)));
    Trust::new(&read(key, file)?).map_err(why)
}

/// The certificates in such a file, for a client that reads them itself.
///
/// # Errors
/// As of [`trust`].
#[cfg(any(feature = "rabbitmq", feature = "kafka", feature = "postgres"))]
pub fn authority(key: &str, file: &str) -> Result<String, InvalidUsage> {
    trust(key, file)?;
    read(key, file)
}

fn read(key: &str, file: &str) -> Result<String, InvalidUsage> {
    let named = |InvalidUsage(why)| InvalidUsage(format!("{key}: {why}"));
    read_text(file.as_ref()).map_err(named)
}
