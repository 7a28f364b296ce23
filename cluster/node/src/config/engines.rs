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
    /// Of the store nodes.
    pub store: StoreEngine,
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
        match (self.broker, &self.rabbitmq) {
            (BrokerChoice::Node(_), None) => Vec::new(),
            (BrokerChoice::RabbitMq, Some(rabbitmq)) => rabbitmq.conflicts(),
            (BrokerChoice::RabbitMq, None) => {
                conflict("engine.rabbitmq", "the table is needed for broker = \"rabbitmq\"")
            }
            (BrokerChoice::Node(_), Some(_)) => {
                conflict("engine.rabbitmq", "it is for broker = \"rabbitmq\" alone")
            }
        }
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
