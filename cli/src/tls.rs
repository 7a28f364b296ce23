//! The network of nodes: encrypted, if the configuration says so.

use campaign::InvalidUsage;
use campaign::lookup::read_text;
use node::config::TlsFiles;
use node::{ClusterConfig, Role};
use ports::Network;
use real::network::TcpNetwork;
use real::tls::{Admits, Identity, TlsNetwork, Trust};
use std::sync::Arc;

/// What nodes of this configuration bind and connect on.
pub struct Networks {
    identity: Option<Identity>,
    plain: Vec<String>,
}

impl Networks {
    /// Reads the files of TLS, if there is any.
    ///
    /// # Errors
    /// One of them cannot be read, or holds nothing that can be used.
    pub fn of(config: &ClusterConfig) -> Result<Self, InvalidUsage> {
        let identity = config.tls.as_ref().map(identity).transpose()?;
        // It is no node.
        let plain = vec![config.topology.push_provider.clone()];
        let networks = Self { identity, plain };
        networks.tls(Admits::Nodes)?;
        Ok(networks)
    }

    /// That of a node.
    pub fn of_role(&self, role: Role) -> Arc<dyn Network> {
        let admits = if role == Role::Gateway { Admits::Anybody } else { Admits::Nodes };
        match self.tls(admits).expect("the same identity was good before") {
            Some(encrypted) => Arc::new(encrypted),
            None => Arc::new(TcpNetwork),
        }
    }

    fn tls(&self, admits: Admits) -> Result<Option<TlsNetwork>, InvalidUsage> {
        let encrypted = |identity| TlsNetwork::new(identity, admits, self.plain.clone());
        let encrypted = self.identity.as_ref().map(encrypted).transpose();
        encrypted.map_err(|error| InvalidUsage(format!("tls: {}", ports::with_causes(&error))))
    }
}

fn identity(files: &TlsFiles) -> Result<Identity, InvalidUsage> {
    Ok(Identity {
        authority: read("authority", &files.authority)?,
        certificate: read("certificate", &files.certificate)?,
        key: read("key", &files.key)?,
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

fn read(key: &str, file: &str) -> Result<String, InvalidUsage> {
    let named = |InvalidUsage(why)| InvalidUsage(format!("tls.{key}: {why}"));
    read_text(file.as_ref()).map_err(named)
}
