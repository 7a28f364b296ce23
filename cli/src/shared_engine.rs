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

#[cfg(feature = "postgres")]
type Settings = postgres::PostgresConfig;
#[cfg(not(feature = "postgres"))]
type Settings = std::convert::Infallible;

impl SharedEngine {
    /// What a configuration says. Files that it names are read.
    ///
    /// # Errors
    /// A file cannot be read, or this program was built without that engine.
    pub fn of(config: &ClusterConfig) -> Result<Self, InvalidUsage> {
        config.engine.postgres.as_ref().map(|it| settings(it, config)).transpose().map(Self)
    }

    /// As a node of this role reaches it from a machine: store nodes alone do.
    ///
    /// # Errors
    /// Its certificates or its threads.
    #[cfg(feature = "postgres")]
    pub fn reached(
        &self,
        role: Role,
        machine: &Machine,
    ) -> io::Result<Option<Arc<dyn MessageStore>>> {
        let Some(settings) = self.0.as_ref().filter(|_| role == Role::Store) else {
            return Ok(None);
        };
        let started = postgres::PostgresStore::start(&machine.name, settings);
        Ok(Some(Arc::new(started.map_err(io::Error::other)?)))
    }

    /// Never: there is none in this build.
    #[cfg(not(feature = "postgres"))]
    pub fn reached(&self, _: Role, _: &Machine) -> io::Result<Option<Arc<dyn MessageStore>>> {
        self.0.map_or(Ok(None), |never| match never {})
    }
}

#[cfg(feature = "postgres")]
fn settings(
    from: &node::config::Postgres,
    config: &ClusterConfig,
) -> Result<Settings, InvalidUsage> {
    let from = from.clone();
    let read = |file: String| {
        std::fs::read_to_string(&file).map_err(|error| {
            InvalidUsage(format!("engine.postgres.authority: cannot read {file}: {error}"))
        })
    };
    Ok(postgres::PostgresConfig {
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
    })
}

#[cfg(not(feature = "postgres"))]
fn settings(_: &node::config::Postgres, _: &ClusterConfig) -> Result<Settings, InvalidUsage> {
    let why = "engine.postgres: this program was built without PostgreSQL: build it with --features postgres";
    Err(InvalidUsage(why.to_owned()))
}
