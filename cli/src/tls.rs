//! The network of nodes: encrypted, if the configuration says so.

mod renewal;

use campaign::InvalidUsage;
use campaign::lookup::read_text;
use node::role::Outside;
use node::{ClusterConfig, Role};
use ports::{Network, Telemetry};
use protocol::TlsFiles;
use real::network::TcpNetwork;
use real::tls::{Admits, Certificates, Identity, TlsError, TlsNetwork, Trust, host};
use std::sync::Arc;

/// What nodes of this configuration bind and connect on.
pub struct Networks {
    own: Option<Own>,
    plain: Vec<String>,
}

/// What the nodes of this process show.
#[derive(Clone)]
struct Own {
    files: TlsFiles,
    /// Where others find them.
    hosts: Vec<String>,
    identity: Identity,
    certificates: Arc<Certificates>,
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
        let hosts = addresses.map(|address| host(address).to_owned()).collect();
        let own = config.tls.as_ref().map(|files| Own::read(files, hosts)).transpose()?;
        // It is no node.
        let plain = vec![config.topology.push_provider.clone()];
        Ok(Self { own, plain })
    }

    /// That of a node.
    pub fn of_role(&self, role: Role) -> Arc<dyn Network> {
        let admits = if role == Role::Gateway { Admits::Anybody } else { Admits::Nodes };
        match &self.own {
            Some(own) => {
                let certificates = own.certificates.clone();
                Arc::new(TlsNetwork::new(certificates, admits, self.plain.clone()))
            }
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

    /// Takes the files anew whenever they are replaced, as long as this process runs.
    pub fn renew(&self, telemetry: Arc<dyn Telemetry>) {
        if let Some(own) = &self.own {
            renewal::watch(own.clone(), telemetry);
        }
    }
}

impl Own {
    fn read(files: &TlsFiles, hosts: Vec<String>) -> Result<Self, InvalidUsage> {
        let identity = identity(files)?;
        let certificates = usable(&identity, &hosts).and_then(|()| Certificates::new(&identity));
        let certificates = certificates.map_err(|error| refused(files, &error))?;
        Ok(Self { files: files.clone(), hosts, identity, certificates: Arc::new(certificates) })
    }
}

/// Whether other nodes would believe it.
fn usable(identity: &Identity, hosts: &[String]) -> Result<(), TlsError> {
    identity.check(hosts.iter().map(String::as_str))
}

/// How nodes of this configuration, which have these roles, reach servers that are no nodes.
///
/// # Errors
/// There is no certificate that one of them can be trusted by.
pub fn servers_outside(
    config: &ClusterConfig,
    has: impl Fn(Role) -> bool,
) -> Result<Outside, InvalidUsage> {
    let issuer = config.oidc.as_ref().filter(|_| has(Role::Gateway)).map(|oidc| {
        if oidc.is_encrypted() {
            trusted(oidc.authority.as_deref(), "oidc.authority", "oidc.issuer")
        } else {
            Ok(Arc::new(TcpNetwork) as Arc<dyn Network>)
        }
    });
    let push = config.push.as_ref().filter(|push| push.tls && has(Role::Notifier));
    let push = push.map(|push| trusted(push.authority.as_deref(), "push.authority", "push.tls"));
    Ok(Outside { issuer: issuer.transpose()?, push_provider: push.transpose()? })
}

/// The network of a client that trusts the authority in the file of this key, or otherwise what the system does,
/// which another key asks for.
fn trusted(
    file: Option<&str>,
    authority: &str,
    asked_by: &str,
) -> Result<Arc<dyn Network>, InvalidUsage> {
    let trusted = match file {
        Some(file) => trust(authority, file)?,
        None => Trust::of_system()
            .map_err(|error| InvalidUsage(format!("{asked_by}: {}", ports::with_causes(&error))))?,
    };
    Ok(Arc::new(trusted.network()))
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
