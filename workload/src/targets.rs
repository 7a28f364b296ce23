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
        Self {
            gateways,
            password: development::PASSWORD.into(),
            service: Service {
                id: development::SERVICE_ID.to_owned(),
                secret: development::SERVICE_SECRET.into(),
            },
        }
    }
}
