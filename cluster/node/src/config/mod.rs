//! What all nodes of one cluster agree on. `docs/running.md` explains every key.

mod engine_tables;
mod engines;
mod file;
mod masking;
mod oidc;
mod push;
mod secrets;
#[cfg(test)]
mod tests;
mod traces;

pub use engines::{
    Acks, BrokerChoice, Cassandra, EngineConfig, Kafka, Postgres, RabbitMq, SaslMechanism,
    StoreChoice,
};
pub use oidc::Oidc;
pub use push::Push;
pub use secrets::{Fetch, Kept};
pub use traces::{AN_ENDPOINT, is_endpoint};

use crate::topology::{Role, Topology};
use ipnet::IpNet;
use ports::Directory;
use protocol::trace::Tracing;
use protocol::{Design, LimitSet, Limits, Secret, TlsFiles, development, limits};
use settings::Mistakes;
use std::collections::BTreeMap;
use std::sync::Arc;
use store::{SharedDirectory, StaticDirectory};

/// The configuration of a cluster: the same file for every node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterConfig {
    /// Where the nodes are.
    pub topology: Topology,
    /// Slices of the conversations. Never changes for given data directories.
    pub partitions: u16,
    /// Design choices.
    pub design: Design,
    /// Users `user-1` to `user-N` with one password, for development and load tests; 0: none.
    pub development_users: u64,
    /// Their password.
    pub development_password: Secret,
    /// Service clients.
    pub services: Vec<Service>,
    /// How long an access token lives, in seconds.
    pub access_token_seconds: u64,
    /// How often a gateway pings a silent session, in seconds.
    pub heartbeat_seconds: u64,
    /// Silence after which a node gives a link to another one up, in milliseconds.
    pub link_timeout_ms: u64,
    /// Newest entries that are kept per conversation; absent: all.
    pub retention: Option<u64>,
    /// What keeps messages, and what keeps rows.
    pub engine: EngineConfig,
    /// How much each node holds.
    pub limits: LimitSet,
    /// Sends, edits and deletions per second and user; absent: as `limits` says.
    pub rate_per_second: Option<u32>,
    /// The proxies that gateways believe about where a request comes from.
    pub trusted_proxies: Vec<IpNet>,
    /// Where a node finds its certificate; absent: everything is plaintext.
    pub tls: Option<TlsFiles>,
    /// An issuer outside, whose tokens gateways honour too.
    pub oidc: Option<Oidc>,
    /// How the push provider is reached; absent: in the plainest way.
    pub push: Option<Push>,
    /// Where the steps of single messages go; absent: nowhere.
    pub traces: Option<Tracing>,
}

/// The scopes that a service can be granted.
const SCOPES: [&str; 2] = ["admin", "audit"];
/// The longest life of an access token, in seconds: a year.
const TOKEN_SECONDS_MAX: u64 = 366 * 24 * 3_600;
/// The bounds of a heartbeat, in seconds; the lower one is the default.
const HEARTBEAT_SECONDS_MIN: u64 = limits::CLIENT_HEARTBEAT.as_secs();
const HEARTBEAT_SECONDS_MAX: u64 = limits::CLIENT_HEARTBEAT_MAX.as_secs();
/// The silence after which a link is given up, by default and at the bounds, in milliseconds.
const LINK_TIMEOUT_MS: u64 = limits::LINK_IDLE_TIMEOUT.as_millis() as u64;
const LINK_TIMEOUT_MS_MIN: u64 = limits::LINK_IDLE_TIMEOUT_MIN.as_millis() as u64;
const LINK_TIMEOUT_MS_MAX: u64 = limits::LINK_IDLE_TIMEOUT_MAX.as_millis() as u64;

/// A service that gets tokens by client credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// OAuth 2.0 client id.
    pub id: String,
    /// OAuth 2.0 client secret.
    pub secret: Secret,
    /// Granted scopes: `admin`, `audit`.
    pub scopes: Vec<String>,
}

/// So many partitions can one store node consume: `channel_max` of RabbitMQ is 2,047 by default, and some are for
/// other things.
const RABBITMQ_PARTITIONS: u16 = 2_000;

impl ClusterConfig {
    /// Slices of the conversations, unless the file says otherwise.
    const PARTITIONS: u16 = 16;
    /// The password of development users, unless the file says otherwise.
    const PASSWORD: &str = development::PASSWORD;
    /// The life of an access token, unless the file says otherwise, in seconds.
    const TOKEN_SECONDS: u64 = 3_600;

    /// Reads a configuration file (TOML) that has its secrets in itself; messages begin with its name.
    ///
    /// # Errors
    /// Everything that is wrong, each with its place and its remedy.
    pub fn read(text: &str, name: &str) -> Result<Self, Mistakes> {
        Self::read_with(text, name, &|_| Err("no secrets are read from elsewhere here".to_owned()))
    }

    /// The same; secrets that the file keeps elsewhere are fetched from there.
    ///
    /// # Errors
    /// As `read`, and what was said of a secret that cannot be had.
    pub fn read_with(text: &str, name: &str, fetch: Fetch<'_>) -> Result<Self, Mistakes> {
        file::read(text, name, fetch)
    }

    /// A service that may change and read anything, if there is one.
    pub fn service_of_all_scopes(&self) -> Option<&Service> {
        let has_all = |service: &&Service| {
            SCOPES.iter().all(|scope| service.scopes.iter().any(|has| has == scope))
        };
        self.services.iter().find(has_all)
    }

    /// Everything by default: no users, no services.
    fn plain(topology: Topology) -> Self {
        Self {
            topology,
            partitions: Self::PARTITIONS,
            design: Design::default(),
            development_users: 0,
            development_password: Self::PASSWORD.into(),
            services: Vec::new(),
            access_token_seconds: Self::TOKEN_SECONDS,
            heartbeat_seconds: HEARTBEAT_SECONDS_MIN,
            link_timeout_ms: LINK_TIMEOUT_MS,
            retention: None,
            engine: EngineConfig::default(),
            limits: LimitSet::default(),
            rate_per_second: None,
            trusted_proxies: Vec::new(),
            tls: None,
            oidc: None,
            push: None,
            traces: None,
        }
    }

    /// A cluster for development and tests: everything by default, `users` development users, and the
    /// service that load tests use.
    pub fn development(topology: Topology, users: u64) -> Self {
        let services = vec![Service {
            id: development::SERVICE_ID.to_owned(),
            secret: development::SERVICE_SECRET.into(),
            scopes: SCOPES.map(str::to_owned).to_vec(),
        }];
        Self { development_users: users, services, ..Self::plain(topology) }
    }

    /// The name of the auth service in tokens: the URL under which clients reach it.
    pub fn own_issuer(&self) -> Option<String> {
        self.topology.gateways.first().map(|gateway| format!("http://{gateway}"))
    }

    /// Everything that is wrong, at once, a sentence each; nothing is bound before this is empty.
    pub fn mistakes(&self) -> Vec<String> {
        self.conflicts().into_iter().map(|(key, what)| format!("{key}: {what}")).collect()
    }

    /// Everything that does not go together: under which key, and what.
    fn conflicts(&self) -> Vec<(String, String)> {
        let (topology, brokers) = (&self.topology, self.topology.brokers.len());
        let (partitions, stores) = (self.partitions, self.topology.stores.len());
        let one = "at least one is needed".to_owned();
        let demands = [
            (!topology.gateways.is_empty(), "topology.gateways", one.clone()),
            match self.engine.broker.outside() {
                None => (
                    brokers == 1,
                    "topology.brokers",
                    format!("exactly one in this version, found {brokers}"),
                ),
                Some(outside) => (
                    brokers == 0,
                    "topology.brokers",
                    format!("none beside {outside}, found {brokers}"),
                ),
            },
            (stores > 0, "topology.stores", one),
            (
                usize::from(partitions) >= stores,
                "partitions",
                format!("at least one per store is needed, found {partitions} for {stores} stores"),
            ),
            (
                self.engine.broker != BrokerChoice::RabbitMq || partitions <= RABBITMQ_PARTITIONS,
                "partitions",
                format!(
                    "at most {RABBITMQ_PARTITIONS} with RabbitMQ, found {partitions}: a store node that owns all of \
                     them needs a channel for each, and has 2047 on its connection"
                ),
            ),
            (self.rate_per_second != Some(0), "rate_per_second", "at least 1".into()),
        ];
        let broken = demands.into_iter().filter(|(holds, ..)| !holds);
        let mut conflicts: Vec<_> = broken.map(|(_, key, what)| (key.to_owned(), what)).collect();
        conflicts.extend(self.wrong_addresses());
        conflicts.extend(self.doubled_services());
        conflicts.extend(self.engine.conflicts());
        conflicts.extend(self.oidc.iter().flat_map(|oidc| oidc.conflicts(self)));
        conflicts.extend(self.push.iter().flat_map(|push| push.conflicts(self)));
        conflicts
    }

    /// Addresses that are none, or that two nodes share.
    fn wrong_addresses(&self) -> Vec<(String, String)> {
        let topology = &self.topology;
        let listed = [
            ("gateways", Role::Gateway, &topology.gateways),
            ("brokers", Role::Broker, &topology.brokers),
            ("stores", Role::Store, &topology.stores),
        ];
        let listed = listed.into_iter().flat_map(|(key, role, addresses)| {
            addresses.iter().zip(1..).map(move |(address, number)| {
                (format!("topology.{key}.{number}"), Topology::name(role, number), address)
            })
        });
        let auth = ("topology.auth".into(), Topology::name(Role::Auth, 1), &topology.auth);
        let provider =
            ("topology.push_provider".into(), "the push provider".into(), &topology.push_provider);
        let provider = Some(provider).filter(|(.., address)| !address.is_empty());
        let mut conflicts = Vec::new();
        let mut users: BTreeMap<&str, String> = BTreeMap::new();
        for (key, node, address) in listed.chain([auth]).chain(provider) {
            if !is_address(address) {
                let what = format!("{address:?} is not an address: expected host:port");
                conflicts.push((key, what));
            } else if let Some(other) = users.get(address.as_str()) {
                conflicts.push((key, format!("{node} and {other} are both at {address}")));
            } else {
                users.insert(address, node);
            }
        }
        conflicts
    }

    /// Services of which one cannot be told from another.
    fn doubled_services(&self) -> impl Iterator<Item = (String, String)> {
        self.services.iter().enumerate().filter_map(|(index, service)| {
            let is_doubled = self.services[..index].iter().any(|other| other.id == service.id);
            let what = || format!("{:?} is the id of two services", service.id);
            is_doubled.then(|| (format!("services.{}.id", index + 1), what()))
        })
    }

    /// Who owns what, as one node knows it: for ever, if each store node has rows of its own.
    pub fn directory(&self) -> Arc<dyn Directory> {
        let stores = self.topology.count(Role::Store);
        if self.engine.store.is_shared() {
            Arc::new(SharedDirectory::new(stores))
        } else {
            Arc::new(StaticDirectory::new(stores))
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

/// Whether a text is `host:port`, with a port that can be listened on. A user and a password have no place in it:
/// addresses are shown.
fn is_address(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        // With a scheme it would be a URL.
        !host.is_empty()
            && !host.contains(['@', '/'])
            && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}
