//! What all nodes of one cluster agree on.

use crate::topology::Topology;
use protocol::{Design, development, limits};
use serde::{Deserialize, Serialize};

/// The configuration of a cluster: the same file for every node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterConfig {
    /// Where the nodes are.
    pub topology: Topology,
    /// Slices of the conversations. Never changes for given data directories.
    #[serde(default = "default_partitions")]
    pub partitions: u16,
    /// Design choices.
    #[serde(default)]
    pub design: Design,
    /// Users `user-1` to `user-N` with one password, for development and load tests; 0: none.
    #[serde(default)]
    pub development_users: u64,
    /// Their password.
    #[serde(default = "default_password")]
    pub development_password: String,
    /// Service clients.
    #[serde(default)]
    pub services: Vec<Service>,
    /// How long an access token lives, in seconds.
    #[serde(default = "default_token_seconds")]
    pub access_token_seconds: u64,
    /// Newest entries that are kept per conversation; absent: all.
    #[serde(default)]
    pub retention: Option<u64>,
    /// Sends, edits and deletions per second and user; absent: the limit of the protocol.
    #[serde(default)]
    pub rate_per_second: Option<u32>,
}

/// A service that gets tokens by client credentials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// OAuth 2.0 client id.
    pub id: String,
    /// OAuth 2.0 client secret.
    pub secret: String,
    /// Granted scopes: `admin`, `audit`.
    pub scopes: Vec<String>,
}

const fn default_partitions() -> u16 {
    16
}

fn default_password() -> String {
    development::PASSWORD.to_owned()
}

const fn default_token_seconds() -> u64 {
    3_600
}

impl ClusterConfig {
    /// A cluster for development and tests: everything by default, `users` development users, and the
    /// service that load tests use.
    pub fn development(topology: Topology, users: u64) -> Self {
        Self {
            topology,
            partitions: default_partitions(),
            design: Design::default(),
            development_users: users,
            development_password: default_password(),
            services: vec![Service {
                id: development::SERVICE_ID.to_owned(),
                secret: development::SERVICE_SECRET.to_owned(),
                scopes: vec!["admin".to_owned(), "audit".to_owned()],
            }],
            access_token_seconds: default_token_seconds(),
            retention: None,
            rate_per_second: None,
        }
    }

    /// Everything that is wrong, at once; nothing is bound before this is empty.
    pub fn mistakes(&self) -> Vec<String> {
        let topology = &self.topology;
        let mut mistakes = Vec::new();
        let mut demand = |holds: bool, what: String| {
            if !holds {
                mistakes.push(what);
            }
        };
        demand(!topology.gateways.is_empty(), "topology.gateways: at least one is needed".into());
        demand(
            topology.brokers.len() == 1,
            format!(
                "topology.brokers: exactly one in this version, found {}",
                topology.brokers.len()
            ),
        );
        demand(!topology.stores.is_empty(), "topology.stores: at least one is needed".into());
        demand(
            usize::from(self.partitions) >= topology.stores.len(),
            format!(
                "partitions: at least one per store is needed, found {} for {} stores",
                self.partitions,
                topology.stores.len()
            ),
        );
        demand(self.access_token_seconds >= 10, "access_token_seconds: at least 10".into());
        demand(self.rate_per_second != Some(0), "rate_per_second: at least 1".into());
        let addresses = [&topology.gateways, &topology.brokers, &topology.stores];
        for address in
            addresses.into_iter().flatten().chain([&topology.auth, &topology.push_provider])
        {
            let port = address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
            demand(port.is_some(), format!("{address:?} is no address: expected host:port"));
        }
        mistakes
    }

    /// The rate limit in force.
    pub fn rate(&self) -> u32 {
        self.rate_per_second.unwrap_or(limits::RATE_PER_SECOND)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_mistakes_are_found_at_once() {
        let topology = Topology {
            gateways: vec![],
            brokers: vec!["127.0.0.1:7100".into(), "127.0.0.1:7101".into()],
            stores: vec!["nowhere".into()],
            notifiers: 1,
            auth: "127.0.0.1:7400".into(),
            push_provider: "127.0.0.1:7500".into(),
        };
        let mistakes =
            ClusterConfig { partitions: 0, ..ClusterConfig::development(topology, 1) }.mistakes();
        assert_eq!(mistakes.len(), 4, "{mistakes:#?}");
    }
}
