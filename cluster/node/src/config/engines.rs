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
    /// How Kafka is reached, if it does.
    pub kafka: Option<Kafka>,
    /// What keeps rows.
    pub store: StoreChoice,
    /// How PostgreSQL is reached, if it does.
    pub postgres: Option<Postgres>,
    /// How Cassandra is reached, if it does.
    pub cassandra: Option<Cassandra>,
}

/// What keeps messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokerChoice {
    /// A node of the cluster.
    Node(BrokerEngine),
    /// RabbitMQ; the cluster has no broker of its own.
    RabbitMq,
    /// Kafka; likewise.
    Kafka,
}

impl BrokerChoice {
    /// The name of what keeps messages outside of the cluster.
    pub const fn outside(self) -> Option<&'static str> {
        match self {
            Self::Node(_) => None,
            Self::RabbitMq => Some("RabbitMQ"),
            Self::Kafka => Some("Kafka"),
        }
    }
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
    /// Cassandra; likewise.
    Cassandra,
}

impl Default for StoreChoice {
    fn default() -> Self {
        Self::Node(StoreEngine::default())
    }
}

impl StoreChoice {
    /// Whether all store nodes reach the same rows.
    pub const fn is_shared(self) -> bool {
        matches!(self, Self::Postgres | Self::Cassandra | Self::Node(StoreEngine::Shared))
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

/// How Cassandra is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cassandra {
    /// `host:port` of some of its nodes.
    pub hosts: Vec<String>,
    /// The keyspace of the tables.
    pub keyspace: String,
    /// Replicas of the keyspace, if it is made by a node.
    pub replication: u16,
    /// Who connects, if Cassandra asks for it.
    pub user: Option<String>,
    /// The password of that user.
    pub password: Option<Secret>,
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
    /// Whether durable queues have copies on other nodes; otherwise a bad design choice.
    pub quorum_queues: bool,
    /// `host:port` of the management interface.
    pub management: Option<String>,
}

/// How Kafka is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kafka {
    /// `host:port` of some of its brokers.
    pub servers: Vec<String>,
    /// How the names of topics begin.
    pub prefix: String,
    /// Replicas of each partition of a topic that is made.
    pub replication: u16,
    /// Whose word a publish waits for.
    pub acks: Acks,
    /// Who connects, if Kafka asks for it.
    pub user: Option<String>,
    /// The password of that user.
    pub password: Option<Secret>,
    /// How it is proved.
    pub mechanism: SaslMechanism,
    /// Whether connections are encrypted.
    pub tls: bool,
    /// A file with certificates that are trusted in place of those of the system.
    pub authority: Option<String>,
}

/// Whose word a publish to Kafka waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Acks {
    /// That of all replicas in sync.
    #[default]
    All,
    /// That of the leader alone; a bad design choice.
    Leader,
}

/// How Kafka is shown who connects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SaslMechanism {
    /// The password is sent.
    #[default]
    Plain,
    /// RFC 7677.
    ScramSha256,
    /// The same with SHA-512.
    ScramSha512,
}

impl EngineConfig {
    /// What does not go together: under which key, and what.
    pub(super) fn conflicts(&self) -> Vec<(String, String)> {
        let mut conflicts = Vec::new();
        let mut tables = |what: &str, name: &str, chosen, table: Option<Vec<(String, String)>>| {
            let key = format!("engine.{name}");
            match (chosen, table) {
                (false, None) => {}
                (true, Some(within)) => conflicts.extend(within),
                (true, None) => {
                    let why = format!("the table is needed for {what} = \"{name}\"");
                    conflicts.push((key, why));
                }
                (false, Some(_)) => {
                    conflicts.push((key, format!("it is for {what} = \"{name}\" alone")));
                }
            }
        };
        let (broker, rabbitmq, kafka) = (self.broker, &self.rabbitmq, &self.kafka);
        let of_rabbitmq = rabbitmq.as_ref().map(RabbitMq::conflicts);
        let of_kafka = kafka.as_ref().map(Kafka::conflicts);
        let of_postgres = self.postgres.as_ref().map(Postgres::conflicts);
        let of_cassandra = self.cassandra.as_ref().map(Cassandra::conflicts);
        tables("broker", "rabbitmq", broker == BrokerChoice::RabbitMq, of_rabbitmq);
        tables("broker", "kafka", broker == BrokerChoice::Kafka, of_kafka);
        tables("store", "postgres", self.store == StoreChoice::Postgres, of_postgres);
        tables("store", "cassandra", self.store == StoreChoice::Cassandra, of_cassandra);
        conflicts
    }
}

/// What a database takes as a name without quotes, with room for the names that it makes of it.
fn wrong_name(name: &str) -> Option<String> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let begins = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    let fits = name.len() <= 40 && begins && name.bytes().all(is_plain);
    let expected = "expected up to 40 small letters, digits and underscores, a letter first";
    (!fits).then(|| format!("{expected}, found {name:?}"))
}

impl Cassandra {
    fn conflicts(&self) -> Vec<(String, String)> {
        let mut conflicts = Vec::new();
        let mut note = |key: &str, what: String| {
            conflicts.push((format!("engine.cassandra.{key}"), what));
        };
        if self.hosts.is_empty() {
            note("hosts", "at least one is needed".into());
        }
        for address in self.hosts.iter().filter(|address| !is_address(address)) {
            note("hosts", format!("{address:?} is not an address: expected host:port"));
        }
        if let Some(wrong) = wrong_name(&self.keyspace) {
            note("keyspace", wrong);
        }
        if self.user.is_some() != self.password.is_some() {
            note("user", "it goes with a password, and a password with it".into());
        }
        conflicts
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
        if let Some(wrong) = wrong_name(&self.schema) {
            note("schema", wrong);
        }
        if self.authority.is_some() && !self.tls {
            note("authority", "it is for tls = true alone".into());
        }
        conflicts
    }
}

/// Names of AMQP and of Kafka's topics are at most 255 or 249 bytes; ours take less than a hundred of them.
fn wrong_prefix(prefix: &str) -> Option<String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let fits = (1..=100).contains(&prefix.len()) && prefix.bytes().all(is_plain);
    let expected = "expected up to 100 letters, digits, hyphens and underscores";
    (!fits).then(|| format!("{expected}, found {prefix:?}"))
}

impl Kafka {
    fn conflicts(&self) -> Vec<(String, String)> {
        let mut conflicts = Vec::new();
        let mut note = |key: &str, what: String| {
            conflicts.push((format!("engine.kafka.{key}"), what));
        };
        if self.servers.is_empty() {
            note("servers", "at least one is needed".into());
        }
        for server in self.servers.iter().filter(|server| !is_address(server)) {
            note("servers", format!("{server:?} is not an address: expected host:port"));
        }
        if let Some(wrong) = wrong_prefix(&self.prefix) {
            note("prefix", wrong);
        }
        if self.user.is_some() != self.password.is_some() {
            note("user", "it goes with a password, and a password with it".into());
        }
        if self.user.is_none() && self.mechanism != SaslMechanism::default() {
            note("mechanism", "it is for a user alone".into());
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
        if let Some(wrong) = wrong_prefix(&self.prefix) {
            note("prefix", wrong);
        }
        if self.authority.is_some() && !self.tls {
            note("authority", "it is for tls = true alone".into());
        }
        conflicts
    }
}
