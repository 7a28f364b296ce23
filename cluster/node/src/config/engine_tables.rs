//! The tables of the engines in a configuration file.

use super::file::{Address, Hidden, or, or_empty};
use super::{
    Acks, BrokerChoice, Cassandra, EngineConfig, Kafka, Postgres, RabbitMq, SaslMechanism,
    StoreChoice,
};
use broker::BrokerEngine;
use protocol::StoreEngine;
use settings::value::number::Whole;
use settings::{Field, section, words};

/// One of three may be away, and what is confirmed is on two.
const REPLICATION: u16 = 3;

section! {
    /// What keeps messages, and what keeps rows.
    Engines {
        /// Of the broker.
        broker: OfBroker = OfBroker::default(),
        /// How RabbitMQ is reached.
        rabbitmq: Option<RabbitTable> = None,
        /// How Kafka is reached.
        kafka: Option<KafkaTable> = None,
        /// Of the store nodes.
        store: OfStores = OfStores::default(),
        /// How PostgreSQL is reached.
        postgres: Option<PostgresTable> = None,
        /// How Cassandra is reached.
        cassandra: Option<CassandraTable> = None,
    }
}

section! {
    /// How Cassandra is reached.
    CassandraTable {
        /// Of some of its nodes.
        hosts: Vec<Address>,
        /// The keyspace of the tables.
        keyspace: String = "fracas".to_owned(),
        /// Of the keyspace.
        replication: Whole<u16, 1, 100> = Whole(REPLICATION),
        /// Who connects.
        user: Option<String> = None,
        /// Its password.
        password: Option<Hidden> = None,
    }
}

section! {
    /// How PostgreSQL is reached.
    PostgresTable {
        /// Of each of its servers.
        hosts: Vec<Address>,
        /// The database.
        database: String = "fracas".to_owned(),
        /// Who connects.
        user: String,
        /// The password.
        password: Hidden,
        /// The schema of the tables.
        schema: String = "fracas".to_owned(),
        /// Whether connections are encrypted.
        tls: bool = false,
        /// A file of certificates that are trusted too.
        authority: Option<String> = None,
        /// How many connections a store node has.
        connections: Whole<u16, 4, 1_000> = Whole(8),
        /// Whether commits wait until they are durable.
        synchronous_commit: bool = true,
    }
}

section! {
    /// How Kafka is reached.
    KafkaTable {
        /// Of some of its brokers.
        servers: Vec<Address>,
        /// How names begin.
        prefix: String = "fracas".to_owned(),
        /// Of each partition.
        replication: Whole<u16, 1, 100> = Whole(REPLICATION),
        /// Whose word is waited for.
        acks: OfAcks = OfAcks::default(),
        /// Who connects.
        user: Option<String> = None,
        /// Its password.
        password: Option<Hidden> = None,
        /// How it is proved.
        mechanism: OfKafka = OfKafka::default(),
        /// Whether connections are encrypted.
        tls: bool = false,
        /// A file of certificates that are trusted instead.
        authority: Option<String> = None,
    }
}

section! {
    /// How RabbitMQ is reached.
    RabbitTable {
        /// Of each of its nodes.
        addresses: Vec<Address>,
        /// Who connects.
        user: String,
        /// Its password.
        password: Hidden,
        /// The virtual host.
        virtual_host: String = "/".to_owned(),
        /// Whether connections are encrypted.
        tls: bool = false,
        /// A file of certificates that are trusted too.
        authority: Option<String> = None,
        /// How names begin.
        prefix: String = "fracas".to_owned(),
        /// Whether durable queues have copies on other nodes.
        quorum_queues: bool = true,
        /// Of the management interface.
        management: Option<Address> = None,
    }
}

/// An engine of a broker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OfBroker(BrokerChoice);

words!(OfBroker {
    "embedded" => Self(BrokerChoice::Node(BrokerEngine::Embedded)),
    "memory" => Self(BrokerChoice::Node(BrokerEngine::Memory)),
    "rabbitmq" => Self(BrokerChoice::RabbitMq),
    "kafka" => Self(BrokerChoice::Kafka),
});

/// A mechanism of Kafka.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OfKafka(SaslMechanism);

words!(OfKafka {
    "plain" => Self(SaslMechanism::Plain),
    "scram-sha-256" => Self(SaslMechanism::ScramSha256),
    "scram-sha-512" => Self(SaslMechanism::ScramSha512),
});

/// Whose word a publish to Kafka waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OfAcks(Acks);

words!(OfAcks {
    "all" => Self(Acks::All),
    "leader" => Self(Acks::Leader),
});

/// An engine of the store nodes of a real cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OfStores(StoreChoice);

words!(OfStores {
    "redb" => Self(StoreChoice::Node(StoreEngine::Redb)),
    "memory" => Self(StoreChoice::Node(StoreEngine::Memory)),
    "postgres" => Self(StoreChoice::Postgres),
    "cassandra" => Self(StoreChoice::Cassandra),
});

impl Engines {
    /// What they come to; after a mistake, a guess stands in.
    pub fn config(&self) -> EngineConfig {
        EngineConfig {
            broker: or_empty(&self.broker).0,
            rabbitmq: or_empty(&self.rabbitmq).map(|table| table.config()),
            kafka: or_empty(&self.kafka).map(|table| table.config()),
            store: or_empty(&self.store).0,
            postgres: or_empty(&self.postgres).map(|table| table.config()),
            cassandra: or_empty(&self.cassandra).map(|table| table.config()),
        }
    }
}

impl CassandraTable {
    fn config(&self) -> Cassandra {
        Cassandra {
            hosts: or_empty(&self.hosts).into_iter().map(|Address(text)| text).collect(),
            keyspace: or(&self.keyspace, "fracas".to_owned()),
            replication: or(&self.replication, Whole(REPLICATION)).0,
            user: or_empty(&self.user),
            password: or_empty(&self.password).map(|Hidden(password)| password),
        }
    }
}

impl KafkaTable {
    fn config(&self) -> Kafka {
        Kafka {
            servers: or_empty(&self.servers).into_iter().map(|Address(text)| text).collect(),
            prefix: or(&self.prefix, "fracas".to_owned()),
            replication: or(&self.replication, Whole(REPLICATION)).0,
            acks: or_empty(&self.acks).0,
            user: or_empty(&self.user),
            password: or_empty(&self.password).map(|Hidden(password)| password),
            mechanism: or_empty(&self.mechanism).0,
            tls: or_empty(&self.tls),
            authority: or_empty(&self.authority),
        }
    }
}

impl RabbitTable {
    fn config(&self) -> RabbitMq {
        let plain = |field: &Field<String>, by_default: &str| or(field, by_default.to_owned());
        RabbitMq {
            addresses: or_empty(&self.addresses).into_iter().map(|Address(text)| text).collect(),
            user: or_empty(&self.user),
            password: or_empty(&self.password).0,
            virtual_host: plain(&self.virtual_host, "/"),
            tls: or_empty(&self.tls),
            authority: or_empty(&self.authority),
            prefix: plain(&self.prefix, "fracas"),
            quorum_queues: or(&self.quorum_queues, true),
            management: or_empty(&self.management).map(|Address(text)| text),
        }
    }
}

impl PostgresTable {
    fn config(&self) -> Postgres {
        let plain = |field: &Field<String>| or(field, "fracas".to_owned());
        Postgres {
            hosts: or_empty(&self.hosts).into_iter().map(|Address(text)| text).collect(),
            database: plain(&self.database),
            user: or_empty(&self.user),
            password: or_empty(&self.password).0,
            schema: plain(&self.schema),
            tls: or_empty(&self.tls),
            authority: or_empty(&self.authority),
            connections: or(&self.connections, Whole(8)).0,
            synchronous_commit: or(&self.synchronous_commit, true),
        }
    }
}
