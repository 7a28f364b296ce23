//! The engine that all store nodes share: made here, because the wiring of a node knows the port alone.

use campaign::InvalidUsage;
use node::{ClusterConfig, Role};
use ports::Machine;
use ports::message_store::MessageStore;
use std::io;
use std::sync::Arc;

/// What keeps the rows of a cluster, if its store nodes share it.
#[derive(Clone, Debug)]
pub struct SharedEngine(Option<Settings>);

/// Of those that this program was built with.
#[derive(Clone, Debug)]
enum Settings {
    #[cfg(feature = "postgres")]
    Postgres(postgres::PostgresConfig),
    #[cfg(feature = "cassandra")]
    Cassandra(cassandra::CassandraConfig),
}

impl SharedEngine {
    /// What a configuration says, which has one of them at most. Files that it names are read.
    ///
    /// # Errors
    /// A file cannot be read, or this program was built without that engine.
    pub fn of(config: &ClusterConfig) -> Result<Self, InvalidUsage> {
        let engine = &config.engine;
        let postgres = engine.postgres.as_ref().map(|it| of_postgres(it, config)).transpose()?;
        let cassandra = engine.cassandra.as_ref().map(|it| of_cassandra(it, config)).transpose()?;
        Ok(Self(postgres.or(cassandra)))
    }

    /// As a node of this role reaches it from a machine: store nodes alone do.
    ///
    /// # Errors
    /// Its certificates or its threads.
    pub fn reached(
        &self,
        role: Role,
        machine: &Machine,
    ) -> io::Result<Option<Arc<dyn MessageStore>>> {
        let settings = self.0.as_ref().filter(|_| role == Role::Store);
        settings.map(|settings| settings.start(machine)).transpose()
    }
}

impl Settings {
    #[cfg_attr(
        not(any(feature = "postgres", feature = "cassandra")),
        expect(unused_variables, reason = "there is no engine in this build")
    )]
    fn start(&self, machine: &Machine) -> io::Result<Arc<dyn MessageStore>> {
        match *self {
            #[cfg(feature = "postgres")]
            Self::Postgres(ref settings) => {
                let started = postgres::PostgresStore::start(&machine.name, settings);
                Ok(Arc::new(started.map_err(io::Error::other)?))
            }
            #[cfg(feature = "cassandra")]
            Self::Cassandra(ref settings) => {
                let instance = machine.entropy.next_u64();
                Ok(Arc::new(cassandra::CassandraStore::start(settings.clone(), instance)?))
            }
        }
    }
}

#[cfg(feature = "postgres")]
fn of_postgres(
    from: &node::config::Postgres,
    config: &ClusterConfig,
) -> Result<Settings, InvalidUsage> {
    let from = from.clone();
    let read = |file: String| crate::tls::authority("engine.postgres.authority", &file);
    Ok(Settings::Postgres(postgres::PostgresConfig {
        hosts: from.hosts,
        database: from.database,
        user: from.user,
        password: from.password,
        schema: from.schema,
        tls: from.tls,
        authority: from.authority.map(read).transpose()?,
        connections: from.connections,
        synchronous_commit: from.synchronous_commit,
        partitions: config.partitions,
        timing: postgres::Timing::default(),
    }))
}

#[cfg(not(feature = "postgres"))]
fn of_postgres(_: &node::config::Postgres, _: &ClusterConfig) -> Result<Settings, InvalidUsage> {
    let why = "engine.postgres: this program was built without PostgreSQL: build it with --features postgres";
    Err(InvalidUsage(why.to_owned()))
}

#[cfg(feature = "cassandra")]
#[expect(
    clippy::unnecessary_wraps,
    reason = "the other engine reads files, other builds have none"
)]
fn of_cassandra(
    from: &node::config::Cassandra,
    config: &ClusterConfig,
) -> Result<Settings, InvalidUsage> {
    let from = from.clone();
    Ok(Settings::Cassandra(cassandra::CassandraConfig {
        hosts: from.hosts,
        keyspace: from.keyspace,
        replication: from.replication,
        user: from.user.zip(from.password),
        partitions: config.partitions,
        timing: cassandra::Timing::default(),
    }))
}

#[cfg(not(feature = "cassandra"))]
fn of_cassandra(_: &node::config::Cassandra, _: &ClusterConfig) -> Result<Settings, InvalidUsage> {
    let why = "engine.cassandra: this program was built without Cassandra: build it with --features cassandra";
    Err(InvalidUsage(why.to_owned()))
}
