//! Engines outside of the cluster: made here, because the wiring of a node knows the ports alone.

use campaign::InvalidUsage;
use node::{ClusterConfig, Role};
use ports::Machine;
use ports::broker::Brokers;

/// What keeps the messages of a cluster, if that is no node of it.
#[derive(Clone, Debug)]
pub struct OutsideBroker(Option<Outside>);

/// Each engine that this program was built with.
#[derive(Clone, Debug)]
enum Outside {
    #[cfg(feature = "rabbitmq")]
    RabbitMq(rabbitmq::RabbitConfig),
    #[cfg(feature = "kafka")]
    Kafka(kafka::KafkaConfig),
}

impl OutsideBroker {
    /// What a configuration says. Files that it names are read.
    ///
    /// # Errors
    /// A file cannot be read, or this program was built without that engine.
    pub fn of(config: &ClusterConfig) -> Result<Self, InvalidUsage> {
        let engine = &config.engine;
        let outside = match (&engine.rabbitmq, &engine.kafka) {
            (Some(rabbitmq), _) => Some(of_rabbitmq(rabbitmq, config)?),
            (None, Some(kafka)) => Some(of_kafka(kafka, config)?),
            (None, None) => None,
        };
        Ok(Self(outside))
    }

    /// As a node of this role reaches it from a machine. Auth needs none.
    ///
    /// # Errors
    /// There can be no client with these settings.
    pub fn reached(&self, role: Role, machine: &Machine) -> Result<Option<Brokers>, InvalidUsage> {
        let needs_it = matches!(role, Role::Gateway | Role::Store | Role::Notifier);
        let Some(outside) = self.0.as_ref().filter(|_| needs_it) else { return Ok(None) };
        outside.brokers(machine).map(Some)
    }
}

impl Outside {
    #[cfg_attr(
        not(any(feature = "rabbitmq", feature = "kafka")),
        expect(unused_variables, reason = "there is nothing to connect")
    )]
    #[cfg_attr(
        not(feature = "kafka"),
        allow(
            clippy::unnecessary_wraps,
            reason = "the clients of Kafka can be refused, no others"
        )
    )]
    fn brokers(&self, machine: &Machine) -> Result<Brokers, InvalidUsage> {
        match *self {
            #[cfg(feature = "rabbitmq")]
            Self::RabbitMq(ref settings) => {
                Ok(Brokers::one(rabbitmq::RabbitBroker::start(machine.clone(), settings.clone())))
            }
            #[cfg(feature = "kafka")]
            Self::Kafka(ref settings) => {
                let started = kafka::KafkaBroker::start(machine.clone(), settings);
                let refused =
                    |error| InvalidUsage(format!("engine.kafka: {}", ports::with_causes(&error)));
                started.map(Brokers::one).map_err(refused)
            }
        }
    }
}

#[cfg(feature = "rabbitmq")]
fn of_rabbitmq(
    from: &node::config::RabbitMq,
    config: &ClusterConfig,
) -> Result<Outside, InvalidUsage> {
    let from = from.clone();
    let authority =
        from.authority.map(|file| crate::tls::authority("engine.rabbitmq.authority", &file));
    Ok(Outside::RabbitMq(rabbitmq::RabbitConfig {
        addresses: from.addresses,
        user: from.user,
        password: from.password,
        virtual_host: from.virtual_host,
        tls: from.tls,
        authority: authority.transpose()?,
        prefix: from.prefix,
        quorum_queues: from.quorum_queues,
        management: from.management.map(|address| rabbitmq::Management { address }),
        limits: config.limits().broker,
    }))
}

#[cfg(not(feature = "rabbitmq"))]
fn of_rabbitmq(_: &node::config::RabbitMq, _: &ClusterConfig) -> Result<Outside, InvalidUsage> {
    let why = "engine.rabbitmq: this program was built without RabbitMQ: build it with --features rabbitmq";
    Err(InvalidUsage(why.to_owned()))
}

#[cfg(feature = "kafka")]
fn of_kafka(from: &node::config::Kafka, config: &ClusterConfig) -> Result<Outside, InvalidUsage> {
    use kafka::{Acks, Credentials, Encryption, Mechanism};
    use node::config::SaslMechanism;
    let from = from.clone();
    let mechanism = match from.mechanism {
        SaslMechanism::Plain => Mechanism::Plain,
        SaslMechanism::ScramSha256 => Mechanism::ScramSha256,
        SaslMechanism::ScramSha512 => Mechanism::ScramSha512,
    };
    let acks = match from.acks {
        node::config::Acks::All => Acks::All,
        node::config::Acks::Leader => Acks::Leader,
    };
    let credentials = from.user.zip(from.password).map(|(user, password)| Credentials {
        mechanism,
        user,
        password,
    });
    let authority = from
        .authority
        .map(|file| crate::tls::authority("engine.kafka.authority", &file))
        .transpose()?;
    let settings = kafka::KafkaConfig {
        servers: from.servers,
        prefix: from.prefix,
        replication: from.replication,
        acks,
        partitions: config.partitions,
        job_queues: node::role::NOTIFY_QUEUES,
        gateways: u16::try_from(config.topology.gateways.len()).unwrap_or(u16::MAX),
        credentials,
        encryption: from.tls.then_some(Encryption { authority }),
        limits: config.limits().broker,
    };
    match settings.unsupported() {
        Some(why) => Err(InvalidUsage(format!("engine.kafka: {why}"))),
        None => Ok(Outside::Kafka(settings)),
    }
}

#[cfg(not(feature = "kafka"))]
fn of_kafka(_: &node::config::Kafka, _: &ClusterConfig) -> Result<Outside, InvalidUsage> {
    let why = "engine.kafka: this program was built without Kafka: build it with --features kafka";
    Err(InvalidUsage(why.to_owned()))
}

#[cfg(test)]
#[path = "engines_tests.rs"]
mod tests;
