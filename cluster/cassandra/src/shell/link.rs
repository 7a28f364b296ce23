//! A session with Cassandra, made when it is needed first; and the tables before anything else.

use super::failure::{Failure, corrupt};
use super::statements::Statements;
use crate::config::CassandraConfig;
use crate::core::schema;
use ports::message_store::StoreError;
use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::errors::{DbError, ExecutionError, RequestAttemptError};
use scylla::policies::retry::FallthroughRetryPolicy;
use scylla::response::query_result::QueryRowsResult;
use scylla::serialize::row::SerializeRow;
use scylla::statement::prepared::PreparedStatement;
use scylla::statement::{Consistency, SerialConsistency, Statement};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::timeout;

/// Between two signs of life on a connection, and how long one may stay away.
const KEEPALIVE: Duration = Duration::from_secs(2);

/// A session, and what was prepared in it.
pub struct Link {
    /// The driver connects again by itself, and finds the nodes by itself.
    pub session: Session,
    pub statements: Statements,
}

/// The one link of a node.
pub struct Links {
    config: CassandraConfig,
    link: Mutex<Option<Arc<Link>>>,
}

impl Links {
    /// Connects when somebody asks.
    pub fn new(config: CassandraConfig) -> Self {
        Self { config, link: Mutex::default() }
    }

    /// The link.
    ///
    /// # Errors
    /// `Corrupt`: the tables are of no use to this program. Otherwise `Unavailable`.
    pub async fn get(&self) -> Result<Arc<Link>, StoreError> {
        let timing = &self.config.timing;
        let getting = async {
            let mut link = self.link.lock().await;
            if let Some(link) = &*link {
                return Ok(Arc::clone(link));
            }
            let made = Arc::new(self.connect().await?);
            *link = Some(Arc::clone(&made));
            Ok(made)
        };
        let silent = || Err(StoreError::Unavailable("Cassandra does not answer".into()));
        timeout(timing.migration, getting).await.unwrap_or_else(|_| silent())
    }

    async fn connect(&self) -> Result<Link, StoreError> {
        let timing = &self.config.timing;
        // Whatever is tried again is tried again here, where it is known what that may do.
        let profile = ExecutionProfile::builder()
            .request_timeout(Some(timing.call))
            .retry_policy(Arc::new(FallthroughRetryPolicy::new()))
            .consistency(Consistency::Quorum)
            .serial_consistency(Some(SerialConsistency::Serial))
            .build();
        let mut builder = SessionBuilder::new()
            .known_nodes(&self.config.hosts)
            .default_execution_profile_handle(profile.into_handle())
            .connection_timeout(timing.connect)
            .keepalive_interval(KEEPALIVE)
            .keepalive_timeout(KEEPALIVE)
            .schema_agreement_timeout(timing.migration)
            // What routing needs.
            .keyspaces_to_fetch([&self.config.keyspace])
            .fetch_full_schema_metadata(false)
            .tcp_nodelay(true);
        if let Some((user, password)) = &self.config.user {
            builder = builder.user(user, password.expose());
        }
        let connecting = timeout(timing.call, builder.build());
        let session = match connecting.await {
            Ok(connected) => connected.map_err(|it| unavailable(&it))?,
            Err(_) => return Err(StoreError::Unavailable("Cassandra does not answer".into())),
        };
        self.make_tables(&session).await?;
        let prepared = Statements::prepare(&session, &self.config.keyspace).await;
        let statements = prepared.map_err(|it| unavailable(&it))?;
        Ok(Link { session, statements })
    }

    /// Several nodes begin at once: each makes what is missing, and one of them says for how many partitions.
    async fn make_tables(&self, session: &Session) -> Result<(), StoreError> {
        let CassandraConfig { keyspace, replication, partitions, .. } = &self.config;
        if !self.are_there(session).await? {
            for cql in schema::making(keyspace, *replication) {
                let mut statement = Statement::new(cql);
                statement.set_request_timeout(Some(self.config.timing.migration));
                let made = session.query_unpaged(statement, ()).await;
                made.map_err(of_schema)?;
            }
        }
        let version = fact(session, keyspace, "version", schema::VERSION).await?;
        if version != schema::VERSION {
            let known = schema::VERSION;
            return Err(corrupt(format!(
                "the tables have version {version}, this program knows version {known}"
            )));
        }
        let made_for = fact(session, keyspace, "partitions", i32::from(*partitions)).await?;
        if made_for != i32::from(*partitions) {
            return Err(corrupt(format!(
                "the tables were made for {made_for} partitions, and opened for {partitions}: their number \
                 never changes; start with {made_for} partitions, or with another keyspace"
            )));
        }
        Ok(())
    }

    /// Whether nothing must be made: making what is there asks for the right to make it.
    async fn are_there(&self, session: &Session) -> Result<bool, StoreError> {
        let cql = "SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?";
        let found = session.query_unpaged(cql, (&self.config.keyspace,)).await;
        let found = answered(found).map_err(Failure::of_read)?;
        Ok(["slots", "rows", "facts"].iter().all(|wanted| {
            let mut names = found.rows::<(&str,)>().into_iter().flatten().flatten();
            names.any(|(name,)| name == *wanted)
        }))
    }
}

/// What was decided under a name; this, if nothing was.
async fn fact(
    session: &Session,
    keyspace: &str,
    name: &str,
    value: i32,
) -> Result<i32, StoreError> {
    let cql = format!("INSERT INTO {keyspace}.facts (name, value) VALUES (?, ?) IF NOT EXISTS");
    let inserted = session.query_unpaged(cql, (name, value)).await;
    inserted.map_err(of_schema)?;
    let cql = format!("SELECT value FROM {keyspace}.facts WHERE name = ?");
    let found = session.query_unpaged(cql, (name,)).await.map_err(of_schema)?;
    let found = answered(Ok(found)).map_err(Failure::of_read)?;
    found.first_row::<(i32,)>().map(|(value,)| value).map_err(corrupt)
}

/// A server that does not know a table yet which another one has made says that the statement is wrong.
fn of_schema(error: ExecutionError) -> StoreError {
    let is_unknown = matches!(
        &error,
        ExecutionError::LastAttemptError(RequestAttemptError::DbError(DbError::Invalid, _))
    );
    if is_unknown { unavailable(&error) } else { Failure::from(error).of_read() }
}

fn unavailable(error: &(dyn std::error::Error + 'static)) -> StoreError {
    StoreError::Unavailable(ports::with_causes(error))
}

type Answer = Result<scylla::response::query_result::QueryResult, ExecutionError>;

fn answered(answer: Answer) -> Result<QueryRowsResult, Failure> {
    let answer = answer.map_err(Failure::from)?;
    answer.into_rows_result().map_err(|it| Failure {
        is_open: true,
        is_for_good: true,
        message: ports::with_causes(&it),
    })
}

impl Link {
    /// The rows that a statement brings.
    pub async fn rows(
        &self,
        statement: &PreparedStatement,
        values: impl SerializeRow,
    ) -> Result<QueryRowsResult, Failure> {
        answered(Box::pin(self.session.execute_unpaged(statement, values)).await)
    }

    /// Whether the condition of a statement held.
    pub async fn is_applied(
        &self,
        statement: &PreparedStatement,
        values: impl SerializeRow,
    ) -> Result<bool, Failure> {
        let rows = self.rows(statement, values).await?;
        // A refusal has more columns: what was found instead.
        let row = rows.first_row::<scylla::value::Row>();
        let applied = row.ok().and_then(|row| row.columns.first()?.as_ref()?.as_boolean());
        applied.ok_or_else(|| Failure {
            is_open: true,
            is_for_good: true,
            message: "a conditional statement did not say whether it was applied".into(),
        })
    }
}
