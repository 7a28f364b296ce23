//! What keeps messages, and what keeps rows.

use super::is_address;
use broker::BrokerEngine;
use protocol::{Secret, StoreEngine};

/// The engines of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EngineConfig {
    /// What keeps messages.
    pub broker: BrokerChoice,
    /// How RabbitMQ is reached, if it does.
    pub rabbitmq: Option<RabbitMq>,
    /// What keeps rows.
    pub store: StoreChoice,
    /// How PostgreSQL is reached, if it does.
    pub postgres: Option<Postgres>,
}

/// What keeps messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokerChoice {
    /// A node of the cluster.
    Node(BrokerEngine),
    /// RabbitMQ; the cluster has no broker of its own.
    RabbitMq,
}

impl Default for BrokerChoice {
    fn default() -> Self {
        Self::Node(BrokerEngine::default())
    }
}

/// What keeps rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreChoice {
    /// An engine of the store nodes.
    Node(StoreEngine),
    /// PostgreSQL, which all store nodes share: any of them may own any partition.
    Postgres,
}

impl Default for StoreChoice {
    fn default() -> Self {
        Self::Node(StoreEngine::default())
    }
}

impl StoreChoice {
    /// Whether all store nodes reach the same rows.
    pub const fn is_shared(self) -> bool {
        matches!(self, Self::Postgres | Self::Node(StoreEngine::Shared))
    }
}

/// How PostgreSQL is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Postgres {
    /// `host:port` of each of its servers.
    pub hosts: Vec<String>,
    /// The database.
    pub database: String,
    /// Who connects.
    pub user: String,
    /// The password.
    pub password: Secret,
    /// The schema of the tables.
    pub schema: String,
    /// Whether connections are encrypted.
    pub tls: bool,
    /// A file with certificates that are trusted beside those of the system.
    pub authority: Option<String>,
    /// How many connections a store node has, at most.
    pub connections: u16,
    /// Whether commits wait until they are durable; otherwise a bad design choice.
    pub synchronous_commit: bool,
}

/// How RabbitMQ is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RabbitMq {
    /// `host:port` of each of its nodes.
    pub addresses: Vec<String>,
    /// Who connects.
    pub user: String,
    /// Its password.
    pub password: Secret,
    /// The virtual host.
    pub virtual_host: String,
    /// Whether connections are encrypted.
    pub tls: bool,
    /// A file with certificates that are trusted beside those of the system.
    pub authority: Option<String>,
    /// How the names of exchanges and queues begin.
    pub prefix: String,
    /// `host:port` of the management interface.
    pub management: Option<String>,
}

impl EngineConfig {
    /// What does not go together: under which key, and what.
    pub(super) fn conflicts(&self) -> Vec<(String, String)> {
        let conflict = |key: &str, what: &str| vec![(key.to_owned(), what.to_owned())];
        let of_rows = match (self.store, &self.postgres) {
            (StoreChoice::Node(_), None) => Vec::new(),
            (StoreChoice::Postgres, Some(postgres)) => postgres.conflicts(),
            (StoreChoice::Postgres, None) => {
                conflict("engine.postgres", "the table is needed for store = \"postgres\"")
            }
            (StoreChoice::Node(_), Some(_)) => {
                conflict("engine.postgres", "it is for store = \"postgres\" alone")
            }
        };
        let of_messages = match (self.broker, &self.rabbitmq) {
            (BrokerChoice::Node(_), None) => Vec::new(),
            (BrokerChoice::RabbitMq, Some(rabbitmq)) => rabbitmq.conflicts(),
            (BrokerChoice::RabbitMq, None) => {
                conflict("engine.rabbitmq", "the table is needed for broker = \"rabbitmq\"")
            }
            (BrokerChoice::Node(_), Some(_)) => {
                conflict("engine.rabbitmq", "it is for broker = \"rabbitmq\" alone")
            }
        };
        [of_messages, of_rows].concat()
    }
}

impl Postgres {
    fn conflicts(&self) -> Vec<(String, String)> {
        let mut conflicts = Vec::new();
        let mut note = |key: &str, what: String| {
            conflicts.push((format!("engine.postgres.{key}"), what));
        };
        if self.hosts.is_empty() {
            note("hosts", "at least one is needed".into());
        }
        for address in self.hosts.iter().filter(|address| !is_address(address)) {
            note("hosts", format!("{address:?} is not an address: expected host:port"));
        }
        // What PostgreSQL takes without quotes, and room for the names that it makes of it.
        let is_plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let begins = self.schema.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
        if self.schema.len() > 40 || !begins || !self.schema.bytes().all(is_plain) {
            let expected =
                "expected up to 40 small letters, digits and underscores, a letter first";
            note("schema", format!("{expected}, found {:?}", self.schema));
        }
        if self.authority.is_some() && !self.tls {
            note("authority", "it is for tls = true alone".into());
        }
        conflicts
    }
}

impl RabbitMq {
    fn conflicts(&self) -> Vec<(String, String)> {
        let mut conflicts = Vec::new();
        let mut note = |key: &str, what: String| {
            conflicts.push((format!("engine.rabbitmq.{key}"), what));
        };
        if self.addresses.is_empty() {
            note("addresses", "at least one is needed".into());
        }
        for address in self.addresses.iter().filter(|address| !is_address(address)) {
            note("addresses", format!("{address:?} is not an address: expected host:port"));
        }
        // Names of AMQP are at most 255 bytes; ours take less than a hundred of them.
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if !(1..=100).contains(&self.prefix.len()) || !self.prefix.bytes().all(is_plain) {
            let expected = "expected up to 100 letters, digits, hyphens and underscores";
            note("prefix", format!("{expected}, found {:?}", self.prefix));
        }
        if self.authority.is_some() && !self.tls {
            note("authority", "it is for tls = true alone".into());
        }
        conflicts
    }
}
