//! The configuration as a file: its keys, and how they become a `ClusterConfig`.
//!
//! What the values mean together is checked by `ClusterConfig::conflicts`; here it is only given its
//! place.

use super::engine_tables::Engines;
use super::masking::{Masking, WHOLE};
use super::oidc::OidcTable;
use super::push::PushTable;
use super::secrets::{self, Fetch};
use super::traces::TracesTable;
use super::{
    ClusterConfig, HEARTBEAT_SECONDS_MAX, HEARTBEAT_SECONDS_MIN, LINK_TIMEOUT_MS,
    LINK_TIMEOUT_MS_MAX, LINK_TIMEOUT_MS_MIN, SCOPES, Service, TOKEN_SECONDS_MAX, is_address,
};
use crate::topology::Topology;
use ipnet::IpNet;
use protocol::{LimitSet, Secret, TlsFiles};
use settings::section::by_default;
use settings::tree::Is;
use settings::value::design::Choices;
use settings::value::number::Whole;
use settings::{Field, Mistakes, Node, Origin, Problem, TextForm, Value, section, tree, words};
use std::net::IpAddr;

/// The largest whole number of a TOML file.
const LARGEST: u64 = i64::MAX as u64;

section! {
    /// What a configuration file holds.
    File {
        /// Where the nodes are.
        topology: Addresses,
        /// Slices of the conversations.
        partitions: Whole<u16, 1, 65_535> = Whole(ClusterConfig::PARTITIONS),
        /// Design choices.
        design: Choices = Choices::default(),
        /// Users for development and load tests.
        development_users: Whole<u64, 0, LARGEST> = Whole(0),
        /// Their password.
        development_password: Hidden = Hidden::default(),
        /// Service accounts.
        services: Vec<Account> = Vec::new(),
        /// How long an access token lives, in seconds.
        access_token_seconds: Whole<u64, 10, TOKEN_SECONDS_MAX> = Whole(ClusterConfig::TOKEN_SECONDS),
        /// How often a gateway pings a session in which nothing was heard, in seconds.
        heartbeat_seconds: Whole<u64, HEARTBEAT_SECONDS_MIN, HEARTBEAT_SECONDS_MAX> = Whole(HEARTBEAT_SECONDS_MIN),
        /// Silence after which a node gives a link to another one up, in milliseconds.
        link_timeout_ms: Whole<u64, LINK_TIMEOUT_MS_MIN, LINK_TIMEOUT_MS_MAX> = Whole(LINK_TIMEOUT_MS),
        /// Newest entries that are kept per conversation.
        retention: Option<Whole<u64, 1, LARGEST>> = None,
        /// What keeps messages, and what keeps rows.
        engine: Engines = by_default(),
        /// How much each node holds.
        limits: LimitSet = LimitSet::default(),
        /// Sends, edits and deletions per second and user.
        rate_per_second: Option<Whole<u32, 1, 4_294_967_295>> = None,
        /// Proxies that gateways believe about where a request comes from.
        trusted_proxies: Vec<Network> = Vec::new(),
        /// Encryption between nodes and towards clients.
        tls: Option<Tls> = None,
        /// An issuer outside of the cluster, whose tokens gateways honour too.
        oidc: Option<OidcTable> = None,
        /// How the push provider is reached.
        push: Option<PushTable> = None,
        /// A collector of OpenTelemetry for the steps of single messages.
        traces: Option<TracesTable> = None,
    }
}

section! {
    /// The addresses of the nodes.
    Addresses {
        /// Of each gateway.
        gateways: Vec<Address>,
        /// Of the broker.
        brokers: Vec<Address> = Vec::new(),
        /// Of each store node.
        stores: Vec<Address>,
        /// Of the auth service.
        auth: Address,
        /// How many notifiers.
        notifiers: Whole<u16, 1, 65_535> = Whole(1),
        /// Of the push provider.
        push_provider: Option<Address> = None,
    }
}

section! {
    /// The files of TLS, in PEM.
    Tls {
        /// Who signs the certificates of nodes.
        authority: String,
        /// The node's certificate.
        certificate: String,
        /// Its private key.
        key: String,
        /// Whether what `--metrics` serves is encrypted, too.
        metrics: bool = false,
    }
}

section! {
    /// A service account.
    Account {
        /// OAuth 2.0 client id.
        id: String,
        /// OAuth 2.0 client secret.
        secret: Hidden,
        /// Granted scopes.
        scopes: Vec<Scope>,
    }
}

/// `host:port`.
#[derive(Clone, Debug, Default)]
pub struct Address(pub String);

impl TextForm for Address {
    fn expected() -> String {
        "an address like \"127.0.0.1:7801\"".into()
    }

    fn from_text(text: &str) -> Option<Self> {
        is_address(text).then(|| Self(text.to_owned()))
    }

    fn text(&self) -> String {
        self.0.clone()
    }
}

/// Addresses that begin alike, or one of them.
#[derive(Clone, Copy, Debug)]
pub struct Network(pub IpNet);

impl TextForm for Network {
    fn expected() -> String {
        "an address or a network like \"10.0.0.5\" or \"10.0.0.0/8\"".into()
    }

    fn from_text(text: &str) -> Option<Self> {
        let alone = || text.parse::<IpAddr>().ok().map(IpNet::from);
        text.parse().ok().or_else(alone).map(Self)
    }

    fn text(&self) -> String {
        self.0.to_string()
    }
}

/// A secret: no message repeats it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hidden(pub Secret);

impl Default for Hidden {
    fn default() -> Self {
        Self(ClusterConfig::PASSWORD.into())
    }
}

impl Value for Hidden {
    fn expected() -> String {
        <String as Value>::expected()
    }

    fn read(node: &Node, mistakes: &mut Mistakes) -> Option<Self> {
        if let Is::Text(text) = &node.is {
            return Some(Self(text.as_str().into()));
        }
        let (key, expected, found) = (node.key.clone(), Self::expected(), "another value".into());
        mistakes.note(&node.origin, Problem::Value { key, expected, found, nearest: None });
        None
    }

    fn write(&self) -> Option<settings::toml::Value> {
        None
    }

    fn schema() -> settings::serde_json::Value {
        <String as Value>::schema()
    }
}

/// The keys of secrets.
pub const SECRETS: [&str; 3] = ["secret", "password", "development_password"];

/// What a service may be granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope(&'static str);

words!(Scope { "admin" => Self(SCOPES[0]), "audit" => Self(SCOPES[1]) });

/// Reads a configuration; secrets that are kept elsewhere are fetched.
///
/// # Errors
/// Everything that is wrong, in the order of the file.
pub fn read(text: &str, name: &str, fetch: Fetch<'_>) -> Result<ClusterConfig, Mistakes> {
    let mut mistakes = Mistakes::new(WHOLE, name, text);
    let mut root = tree::read(text, &mut mistakes);
    // What broken TOML means is a guess; complaints about guesses would only hide the cause.
    if !mistakes.is_empty() {
        let masking = Masking::new();
        return Err(masking.told(mistakes, name, &masking.of_broken(text)));
    }
    secrets::put_in(&mut root, fetch, &mut mistakes);
    if let Some(config) = File::read(&root, &mut mistakes).map(|file| file.config()) {
        note_conflicts(&config, &root, &mut mistakes);
        if mistakes.is_empty() {
            return Ok(config);
        }
    }
    let masking = Masking::new();
    Err(masking.told(mistakes, name, &masking.of_tree(text, &root)))
}

/// Notes what does not go together, unless it follows from a mistake: from a value that is missing, or
/// guessed in the place of a wrong one.
fn note_conflicts(config: &ClusterConfig, root: &Node, mistakes: &mut Mistakes) {
    let alone = mistakes.is_empty();
    for (key, what) in config.conflicts() {
        let node = root.find(&key);
        let guessed = mistakes.list().iter().any(|mistake| match &mistake.problem {
            Problem::Value { key: wrong, .. } => wrong.starts_with(&key),
            _ => false,
        });
        if alone || (node.is_some() && !guessed) {
            let origin = node.map_or(Origin::Whole, |node| node.origin.clone());
            mistakes.note(&origin, Problem::Conflict { key, what });
        }
    }
}

/// The value, or the emptiest one after a mistake.
pub(super) fn or_empty<T: Clone + Default>(field: &Field<T>) -> T {
    field.get().unwrap_or_default()
}

pub(super) fn or<T: Clone>(field: &Field<T>, plain: T) -> T {
    field.get().unwrap_or(plain)
}

impl File {
    /// What stands in the file; after a mistake, a guess stands in.
    fn config(&self) -> ClusterConfig {
        let topology = self.topology.get().map_or_else(Topology::default, |it| it.topology());
        let engine = or(&self.engine, by_default());
        let plain = ClusterConfig::plain(topology);
        ClusterConfig {
            partitions: or(&self.partitions, Whole(plain.partitions)).0,
            design: or_empty(&self.design).0,
            development_users: or(&self.development_users, Whole(0)).0,
            development_password: or_empty(&self.development_password).0,
            services: or_empty(&self.services).iter().map(Account::service).collect(),
            access_token_seconds: or(&self.access_token_seconds, Whole(plain.access_token_seconds))
                .0,
            heartbeat_seconds: or(&self.heartbeat_seconds, Whole(plain.heartbeat_seconds)).0,
            link_timeout_ms: or(&self.link_timeout_ms, Whole(plain.link_timeout_ms)).0,
            retention: or_empty(&self.retention).map(|entries| entries.0),
            engine: engine.config(),
            limits: or_empty(&self.limits),
            rate_per_second: or_empty(&self.rate_per_second).map(|rate| rate.0),
            trusted_proxies: or_empty(&self.trusted_proxies).iter().map(|one| one.0).collect(),
            tls: self.tls.get().flatten().map(|table| table.files()),
            oidc: self.oidc.get().flatten().map(|table| table.config()),
            push: self.push.get().flatten().map(|table| table.config()),
            traces: self.traces.get().flatten().map(|table| table.config()),
            topology: plain.topology,
        }
    }
}

impl Addresses {
    fn topology(&self) -> Topology {
        let list = |field: &Field<Vec<Address>>| {
            or_empty(field).into_iter().map(|Address(text)| text).collect()
        };
        Topology {
            gateways: list(&self.gateways),
            brokers: list(&self.brokers),
            stores: list(&self.stores),
            auth: or_empty(&self.auth).0,
            notifiers: or(&self.notifiers, Whole(1)).0,
            push_provider: or_empty(&self.push_provider).unwrap_or_default().0,
        }
    }
}

impl Tls {
    fn files(&self) -> TlsFiles {
        let [authority, certificate, key] =
            [&self.authority, &self.certificate, &self.key].map(or_empty);
        TlsFiles { authority, certificate, key, metrics: or_empty(&self.metrics) }
    }
}

impl Account {
    fn service(&self) -> Service {
        Service {
            id: or_empty(&self.id),
            secret: or_empty(&self.secret).0,
            scopes: or_empty(&self.scopes).iter().map(TextForm::text).collect(),
        }
    }
}
