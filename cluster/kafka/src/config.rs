//! What the adapter is told once.

use protocol::Secret;
use protocol::limits::BrokerLimits;

/// How a Kafka cluster is reached, and what its topics hold.
#[derive(Clone, Debug)]
pub struct KafkaConfig {
    /// `host:port` of some of its brokers, at least one: they name the others.
    pub servers: Vec<String>,
    /// How the names of topics and groups begin: clusters on one Kafka need different ones.
    pub prefix: String,
    /// Replicas of each partition of a topic that is made; one that is there keeps its own.
    pub replication: u16,
    /// Whose word a publish waits for that must be kept.
    pub acks: Acks,
    /// Partitions of conversations.
    pub partitions: u16,
    /// Queues of jobs.
    pub job_queues: u16,
    /// The highest number of a gateway.
    pub gateways: u16,
    /// Who connects, if Kafka asks for it.
    pub credentials: Option<Credentials>,
    /// Whether connections are encrypted, and who is trusted.
    pub encryption: Option<Encryption>,
    /// What the queues hold.
    pub limits: BrokerLimits,
}

/// Whose word a confirm is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Acks {
    /// That of all replicas in sync.
    #[default]
    All,
    /// That of the leader alone, a bad design choice: what its followers do not have yet is lost with it.
    Leader,
}

/// A user of Kafka (SASL).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// How it is proved who connects.
    pub mechanism: Mechanism,
    /// The user.
    pub user: String,
    /// Its password.
    pub password: Secret,
}

/// How a password is proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// It is sent.
    Plain,
    /// RFC 7677, with SHA-256; with the feature `tls` alone.
    ScramSha256,
    /// The same with SHA-512.
    ScramSha512,
}

/// TLS; with the feature `tls` alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encryption {
    /// Certificates in PEM that are trusted in place of those of the system.
    pub authority: Option<String>,
}

impl KafkaConfig {
    /// Why this build cannot connect so.
    pub fn unsupported(&self) -> Option<&'static str> {
        let scram = self.credentials.as_ref().is_some_and(|it| it.mechanism != Mechanism::Plain);
        let needs_tls = self.encryption.is_some() || scram;
        (needs_tls && !cfg!(feature = "tls"))
            .then_some("this program was built without encryption for Kafka: build it with --features kafka-tls")
    }
}
