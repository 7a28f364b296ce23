//! Engines outside of the cluster: made here, because the wiring of a node knows the ports alone.

use campaign::InvalidUsage;
use node::{ClusterConfig, Role};
use ports::Machine;
use ports::broker::Brokers;

/// What keeps the messages of a cluster, if that is no node of it.
#[derive(Clone, Debug)]
pub struct OutsideBroker(Option<Settings>);

#[cfg(feature = "rabbitmq")]
type Settings = rabbitmq::RabbitConfig;
#[cfg(not(feature = "rabbitmq"))]
type Settings = std::convert::Infallible;

impl OutsideBroker {
    /// What a configuration says. Files that it names are read.
    ///
    /// # Errors
    /// A file cannot be read, or this program was built without that engine.
    pub fn of(config: &ClusterConfig) -> Result<Self, InvalidUsage> {
        config.engine.rabbitmq.as_ref().map(|it| settings(it, config)).transpose().map(Self)
    }

    /// As a node of this role reaches it from a machine. Auth needs none.
    #[cfg(feature = "rabbitmq")]
    pub fn reached(&self, role: Role, machine: &Machine) -> Option<Brokers> {
        let needs_it = matches!(role, Role::Gateway | Role::Store | Role::Notifier);
        let settings = self.0.clone().filter(|_| needs_it)?;
        Some(Brokers::one(rabbitmq::RabbitBroker::start(machine.clone(), settings)))
    }

    /// Never: there is none in this build.
    #[cfg(not(feature = "rabbitmq"))]
    pub fn reached(&self, _: Role, _: &Machine) -> Option<Brokers> {
        self.0.map(|never| match never {})
    }
}

#[cfg(feature = "rabbitmq")]
fn settings(
    from: &node::config::RabbitMq,
    config: &ClusterConfig,
) -> Result<Settings, InvalidUsage> {
    let from = from.clone();
    let read = |file: String| {
        std::fs::read_to_string(&file).map_err(|error| {
            InvalidUsage(format!("engine.rabbitmq.authority: cannot read {file}: {error}"))
        })
    };
    Ok(rabbitmq::RabbitConfig {
        addresses: from.addresses,
        user: from.user,
        password: from.password,
        virtual_host: from.virtual_host,
        tls: from.tls,
        authority: from.authority.map(read).transpose()?,
        prefix: from.prefix,
        management: from.management.map(|address| rabbitmq::Management { address }),
        limits: config.limits().broker,
    })
}

#[cfg(not(feature = "rabbitmq"))]
fn settings(_: &node::config::RabbitMq, _: &ClusterConfig) -> Result<Settings, InvalidUsage> {
    let why = "engine.rabbitmq: this program was built without RabbitMQ: build it with --features rabbitmq";
    Err(InvalidUsage(why.to_owned()))
}
