//! One connection of the pool, and what becomes of it when it fails.

use super::connecting::Connector;
use super::migrating::Setup;
use super::tls::TlsError;
use crate::config::{PostgresConfig, Timing};
use crate::core::failure::Failure;
use deadpool_postgres::{
    Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime,
};
use ports::message_store::StoreError;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use tokio::time::timeout;
use tokio_postgres::error::Severity;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row};

/// The parameters of a statement.
pub type Parameters<'a> = &'a [&'a (dyn ToSql + Sync)];

/// All connections of a node.
pub struct Sessions {
    pool: Pool,
    setup: Arc<Setup>,
    timing: Timing,
    hosts: u32,
}

impl Sessions {
    /// Connects when somebody asks for a session.
    pub fn new(config: &PostgresConfig, name: &str) -> Result<Self, TlsError> {
        let timing = config.timing;
        let hosts = config.hosts.len() as u32;
        // The connection's end is noticed by its task; what else is wrong with one shows in its next use.
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let settings = Connector::settings(config, name);
        let manager = Manager::from_connect(settings, Connector::new(config)?, recycling);
        let setup = Arc::new(Setup::new(config));
        let begin = Arc::clone(&setup);
        let pool = Pool::builder(manager)
            .max_size(usize::from(config.connections))
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(timing.call))
            .create_timeout(Some(timing.connect * hosts))
            .post_create(Hook::async_fn(move |client, _| {
                let begin = Arc::clone(&begin);
                Box::pin(async move { begin.begin(client).await })
            }))
            .build()
            .expect("a pool with timeouts has its runtime");
        Ok(Self { pool, setup, timing, hosts })
    }

    /// A connection to a server that takes writes.
    ///
    /// # Errors
    /// `Corrupt`: the tables are of no use to this program. Otherwise `Unavailable`.
    pub async fn get(&self) -> Result<Session, StoreError> {
        let timing = &self.timing;
        let setting_up = if self.setup.is_migrated() { timing.call } else { timing.migration };
        let patience = timing.call + timing.connect * self.hosts + setting_up;
        match timeout(patience, self.pool.get()).await {
            Ok(Ok(object)) => Ok(Session {
                object: Some(object),
                call: timing.call,
                state: AtomicU8::new(State::Good as u8),
                pool: self.pool.clone(),
            }),
            Ok(Err(PoolError::PostCreateHook(HookError::Message(refused)))) => {
                Err(StoreError::Corrupt(refused.into_owned()))
            }
            Ok(Err(error)) => Err(StoreError::Unavailable(ports::with_causes(&error))),
            Err(_) => Err(StoreError::Unavailable("PostgreSQL does not answer".into())),
        }
    }
}

/// What is known of a connection.
#[repr(u8)]
enum State {
    Good = 0,
    /// Not to be used again.
    Spoiled = 1,
    /// Nothing was heard on it: those beside it may be dead as well.
    Silent = 2,
}

/// A connection, until it is dropped.
pub struct Session {
    object: Option<Object>,
    call: Duration,
    state: AtomicU8,
    pool: Pool,
}

impl Session {
    /// The client, with the statements that were prepared on it.
    pub fn client(&self) -> &Object {
        self.object.as_ref().expect("it is taken when the session is dropped")
    }

    /// Whether it can be used on.
    pub fn is_good(&self) -> bool {
        self.state.load(Ordering::Relaxed) == State::Good as u8
    }

    /// The rows of a statement.
    pub async fn query(&self, sql: &str, parameters: Parameters<'_>) -> Result<Vec<Row>, Failure> {
        self.in_time(async {
            let statement = self.client().prepare_cached(sql).await?;
            self.client().query(&statement, parameters).await
        })
        .await
    }

    /// Whatever a work on the client says, in time.
    pub async fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Failure> {
        let failure = match timeout(self.call, work).await {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(error)) => failure(&error),
            Err(_) => Failure::Silent(format!("no answer in {:?}", self.call)),
        };
        if failure.spoils_connection() {
            let silent = matches!(failure, Failure::Silent(_));
            let state = if silent { State::Silent } else { State::Spoiled };
            self.state.store(state as u8, Ordering::Relaxed);
        }
        Err(failure)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if !self.is_good()
            && let Some(object) = self.object.take()
        {
            // Out of the pool, and closed.
            drop(Object::take(object));
        }
        if self.state.load(Ordering::Relaxed) == State::Silent as u8 {
            self.pool.retain(|_, _| false);
        }
    }
}

fn failure(error: &Error) -> Failure {
    match error.as_db_error() {
        Some(told) => Failure::Told {
            state: told.code().code().to_owned(),
            ends_session: matches!(told.parsed_severity(), Some(Severity::Fatal | Severity::Panic)),
            message: told.message().to_owned(),
        },
        None => Failure::Silent(ports::with_causes(error)),
    }
}
