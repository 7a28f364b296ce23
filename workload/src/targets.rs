//! Where the cluster is, and how users and services identify themselves to it.

use protocol::{Secret, development};

/// The service whose token makes conversations and reads everything at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its OAuth 2.0 client id.
    pub id: String,
    /// Its secret.
    pub secret: Secret,
}

/// How users and a service identify themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The password that the development users share.
    pub password: Secret,
    /// A service with the scopes `admin` and `audit`.
    pub service: Service,
}

impl Credentials {
    /// Those of the development configuration.
    pub fn development() -> Self {
        let id = development::SERVICE_ID.to_owned();
        let secret = development::SERVICE_SECRET.into();
        Self { password: development::PASSWORD.into(), service: Service { id, secret } }
    }
}

/// A cluster to talk to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Targets {
    /// `host:port` of each gateway.
    pub gateways: Vec<String>,
    /// The password that the development users share.
    pub password: Secret,
    /// A service with the scopes `admin` and `audit`.
    pub service: Service,
}

impl Targets {
    /// A cluster in its development configuration.
    pub fn development(gateways: Vec<String>) -> Self {
        Self::new(gateways, Credentials::development())
    }

    /// A cluster with credentials of its own.
    pub fn new(gateways: Vec<String>, credentials: Credentials) -> Self {
        let Credentials { password, service } = credentials;
        Self { gateways, password, service }
    }
}
