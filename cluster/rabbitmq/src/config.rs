//! What the adapter is told once.

use protocol::Secret;
use protocol::limits::BrokerLimits;

/// How a RabbitMQ cluster is reached, and what its queues hold.
#[derive(Clone, Debug)]
pub struct RabbitConfig {
    /// `host:port` of every node, at least one; a lost connection is made again to the next one.
    pub addresses: Vec<String>,
    /// The user; it may configure, write and read whatever begins with `prefix` and a dot.
    pub user: String,
    /// Its password.
    pub password: Secret,
    /// The virtual host.
    pub virtual_host: String,
    /// Whether connections are encrypted (`amqps`); the certificate must be good for the host of the
    /// address.
    pub tls: bool,
    /// Certificates in PEM that are trusted beside those of the system.
    pub authority: Option<String>,
    /// How the names of exchanges and queues begin: clusters on one virtual host need different ones.
    pub prefix: String,
    /// Whether durable queues have copies on other nodes; otherwise a bad design choice.
    pub quorum_queues: bool,
    /// Where depths are asked for; without it there are none.
    pub management: Option<Management>,
    /// What the queues hold.
    pub limits: BrokerLimits,
}

/// The management interface of RabbitMQ (its plug-in `rabbitmq_management`), over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Management {
    /// `host:port`.
    pub address: String,
}
