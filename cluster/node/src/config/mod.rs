//! What all nodes of one cluster agree on. `docs/running.md` explains every key.

mod file;
#[cfg(test)]
mod tests;

use crate::topology::{Role, Topology};
use broker::BrokerEngine;
use ports::Directory;
use protocol::{Design, LimitSet, Limits, StoreEngine, development};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use store::{SharedDirectory, StaticDirectory};

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
    /// What keeps messages, and what keeps rows.
    #[serde(default)]
    pub engine: EngineConfig,
    /// How much each node holds.
    #[serde(default)]
    pub limits: LimitSet,
    /// Sends, edits and deletions per second and user; absent: as `limits` says.
    #[serde(default)]
    pub rate_per_second: Option<u32>,
}

/// The engines of a cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EngineConfig {
    /// Of the broker.
    #[serde(default)]
    pub broker: BrokerEngine,
    /// Of the store nodes.
    #[serde(default)]
    pub store: StoreEngine,
}

/// The scopes that a service can be granted.
const SCOPES: [&str; 2] = ["admin", "audit"];
/// The longest life of an access token, in seconds: a year.
const TOKEN_SECONDS_MAX: u64 = 366 * 24 * 3_600;

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
    /// Reads a configuration file (TOML).
    ///
    /// # Errors
    /// Everything that is wrong, a sentence each, with its line.
    pub fn read(text: &str) -> Result<Self, Vec<String>> {
        file::read(text)
    }

    /// Everything by default: no users, no services.
    fn plain(topology: Topology) -> Self {
        Self {
            topology,
            partitions: default_partitions(),
            design: Design::default(),
            development_users: 0,
            development_password: default_password(),
            services: Vec::new(),
            access_token_seconds: default_token_seconds(),
            retention: None,
            engine: EngineConfig::default(),
            limits: LimitSet::default(),
            rate_per_second: None,
        }
    }

    /// A cluster for development and tests: everything by default, `users` development users, and the
    /// service that load tests use.
    pub fn development(topology: Topology, users: u64) -> Self {
        let services = vec![Service {
            id: development::SERVICE_ID.to_owned(),
            secret: development::SERVICE_SECRET.to_owned(),
            scopes: SCOPES.map(str::to_owned).to_vec(),
        }];
        Self { development_users: users, services, ..Self::plain(topology) }
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
        demand(
            (10..=TOKEN_SECONDS_MAX).contains(&self.access_token_seconds),
            format!("access_token_seconds: expected 10 to {TOKEN_SECONDS_MAX} (a year)"),
        );
        demand(self.rate_per_second != Some(0), "rate_per_second: at least 1".into());
        demand(self.retention != Some(0), "retention: at least 1".into());
        demand(topology.notifiers > 0, "topology.notifiers: at least 1".into());
        mistakes.extend(self.wrong_addresses());
        mistakes.extend(self.wrong_services());
        mistakes
    }

    /// Addresses that are none, or that two nodes share.
    fn wrong_addresses(&self) -> Vec<String> {
        let topology = &self.topology;
        let mut mistakes = Vec::new();
        let mut users: BTreeMap<&str, String> = BTreeMap::new();
        let listed = [
            ("gateways", Role::Gateway, &topology.gateways),
            ("brokers", Role::Broker, &topology.brokers),
            ("stores", Role::Store, &topology.stores),
        ];
        let listed = listed.into_iter().flat_map(|(key, role, addresses)| {
            let numbered = addresses.iter().zip(1..);
            numbered.map(move |(address, number)| (key, Topology::name(role, number), address))
        });
        let provider = Some(&topology.push_provider).filter(|address| !address.is_empty());
        let others = [("auth", Topology::name(Role::Auth, 1), &topology.auth)];
        let provider =
            provider.map(|address| ("push_provider", "the push provider".into(), address));
        for (key, node, address) in listed.chain(others).chain(provider) {
            let parts = address.rsplit_once(':');
            let port = parts.and_then(|(host, port)| {
                port.parse::<u16>().ok().filter(|port| *port > 0 && !host.is_empty())
            });
            if port.is_none() {
                let what =
                    format!("topology.{key}: {address:?} is not an address: expected host:port");
                mistakes.push(what);
            } else if let Some(other) = users.get(address.as_str()) {
                let what = format!("topology.{key}: {node} and {other} are both at {address}");
                mistakes.push(what);
            } else {
                users.insert(address, node);
            }
        }
        mistakes
    }

    /// Services that could not log in, or could do nothing.
    fn wrong_services(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        for (index, service) in self.services.iter().enumerate() {
            let (number, id) = (index + 1, &service.id);
            if id.is_empty() || service.secret.is_empty() {
                mistakes.push(format!("services.{number}.id: id and secret must not be empty"));
            }
            if self.services[..index].iter().any(|other| other.id == *id) {
                mistakes.push(format!("services.{number}.id: {id:?} is the id of two services"));
            }
            let unknown = service.scopes.iter().filter(|scope| !SCOPES.contains(&scope.as_str()));
            for scope in unknown {
                let hint = file::nearest(scope, SCOPES)
                    .map_or_else(String::new, |word| format!("; did you mean {word:?}?"));
                mistakes.push(format!(
                    "services.{number}.scopes: unknown scope {scope:?}: expected {}{hint}",
                    SCOPES.join(" or ")
                ));
            }
        }
        mistakes
    }

    /// Who owns what, as one node knows it: for ever, if each store node has rows of its own.
    pub fn directory(&self) -> Arc<dyn Directory> {
        let stores = self.topology.count(Role::Store);
        match self.engine.store {
            StoreEngine::Redb | StoreEngine::Memory => Arc::new(StaticDirectory::new(stores)),
            StoreEngine::Shared => Arc::new(SharedDirectory::new(stores)),
        }
    }

    /// The limits in force. The burst of a rate grows with it.
    pub fn limits(&self) -> Limits {
        let mut limits = self.limits.limits();
        let (usual, burst) = (limits.gateway.rate_per_second, limits.gateway.rate_burst);
        if let Some(rate) = self.rate_per_second {
            let burst = u64::from(rate) * u64::from(burst) / u64::from(usual);
            limits.gateway.rate_per_second = rate;
            limits.gateway.rate_burst = u32::try_from(burst).unwrap_or(u32::MAX);
        }
        limits
    }
}
