//! What every session begins with, and the tables before the first one.

use crate::config::PostgresConfig;
use crate::core::schema;
use deadpool_postgres::{ClientWrapper, HookError};
use std::sync::atomic::{AtomicBool, Ordering};
use tokio_postgres::Error;

/// Sets sessions up.
pub struct Setup {
    /// One text, so one round trip.
    session: String,
    schema: String,
    partitions: i32,
    migration_ms: u128,
    is_migrated: AtomicBool,
}

/// First half of the number of the lock that migrations take; the second is made of the schema's name.
const LOCK: i32 = 0x6672_6163;

impl Setup {
    /// As a configuration says.
    pub fn new(config: &PostgresConfig) -> Self {
        let commit = if config.synchronous_commit { "on" } else { "off" };
        let timing = config.timing;
        // All of our statements find rows by keys, in tables that begin empty: plans for tables without
        // statistics would read them whole, and stay until they are analysed. So each has one good plan,
        // whatever its parameters are; left to itself, PostgreSQL makes a new one for each execution, which
        // takes longer than the execution does.
        let session = format!(
            "SET synchronous_commit = {commit}; \
             SET statement_timeout = {}; \
             SET lock_timeout = {}; \
             SET idle_in_transaction_session_timeout = {}; \
             SET default_transaction_isolation = 'read committed'; \
             SET search_path = \"{}\"; \
             SET client_min_messages = warning; \
             SET jit = off; SET enable_hashjoin = off; SET enable_mergejoin = off; \
             SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan",
            timing.statement.as_millis(),
            timing.lock.as_millis(),
            timing.migration.as_millis(),
            config.schema,
        );
        Self {
            session,
            schema: config.schema.clone(),
            partitions: i32::from(config.partitions),
            migration_ms: timing.migration.as_millis(),
            is_migrated: AtomicBool::new(false),
        }
    }

    /// Whether this process has found the tables in place.
    pub fn is_migrated(&self) -> bool {
        self.is_migrated.load(Ordering::Acquire)
    }

    /// Sets a new session up.
    ///
    /// # Errors
    /// `Message`: the tables are of no use to this program, now or later.
    pub async fn begin(&self, client: &ClientWrapper) -> Result<(), HookError> {
        client.batch_execute(&self.session).await.map_err(HookError::Backend)?;
        if self.is_migrated() {
            return Ok(());
        }
        warn_of_losses(client).await.map_err(HookError::Backend)?;
        self.migrate(client).await?;
        self.is_migrated.store(true, Ordering::Release);
        Ok(())
    }

    /// Several nodes begin at once: the first one that has the lock makes the tables, in one transaction,
    /// and the others find them.
    async fn migrate(&self, client: &ClientWrapper) -> Result<(), HookError> {
        let schema = &self.schema;
        let (ms, backend) = (self.migration_ms, HookError::Backend);
        let begin = format!(
            "BEGIN; SET LOCAL statement_timeout = {ms}; SET LOCAL lock_timeout = {ms}; \
             SELECT pg_advisory_xact_lock({LOCK}, hashtext('{schema}'))"
        );
        client.batch_execute(&begin).await.map_err(backend)?;
        let found = client.query_one("SELECT to_regnamespace($1) IS NULL", &[schema]).await;
        // Creating one that is there asks for the right to create one.
        if found.and_then(|row| row.try_get(0)).map_err(backend)? {
            client.batch_execute(&format!("CREATE SCHEMA \"{schema}\"")).await.map_err(backend)?;
        }
        let standing = "CREATE TABLE IF NOT EXISTS migrations (version integer PRIMARY KEY, \
                        made timestamptz NOT NULL DEFAULT now()); \
                        CREATE TABLE IF NOT EXISTS cluster (partitions integer NOT NULL)";
        client.batch_execute(standing).await.map_err(backend)?;
        let version = "SELECT coalesce(max(version), 0) FROM migrations";
        let version = client.query_one(version, &[]).await.and_then(|row| row.try_get(0));
        let missing = schema::missing(version.map_err(backend)?);
        for (version, sql) in missing.map_err(|error| HookError::message(error.to_string()))? {
            client.batch_execute(&sql).await.map_err(backend)?;
            let done = "INSERT INTO migrations (version) VALUES ($1)";
            client.execute(done, &[&version]).await.map_err(backend)?;
            tracing::info!(schema, version, "the tables are made");
        }
        let made_for = self.partitions(client).await.map_err(backend)?;
        if made_for != self.partitions {
            return Err(HookError::message(format!(
                "the tables were made for {made_for} partitions, and opened for {}: their number never \
                 changes; start with {made_for} partitions, or with another schema",
                self.partitions
            )));
        }
        client.batch_execute("COMMIT").await.map_err(backend)
    }

    async fn partitions(&self, client: &ClientWrapper) -> Result<i32, Error> {
        let insert = "INSERT INTO cluster SELECT $1 WHERE NOT EXISTS (SELECT FROM cluster)";
        client.execute(insert, &[&self.partitions]).await?;
        client.query_one("SELECT partitions FROM cluster", &[]).await?.try_get(0)
    }
}

/// What no session can set, and loses what was accepted.
async fn warn_of_losses(client: &ClientWrapper) -> Result<(), Error> {
    for setting in ["fsync", "full_page_writes"] {
        let row = client.query_one("SELECT current_setting($1)", &[&setting]).await?;
        if row.try_get::<_, &str>(0)? == "off" {
            tracing::warn!(
                "PostgreSQL runs with {setting} = off: a crash of its machine damages it"
            );
        }
    }
    Ok(())
}
