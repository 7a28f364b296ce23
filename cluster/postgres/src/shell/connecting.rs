//! Finds the server that takes writes, among several.
//!
//! `tokio-postgres` goes through several hosts itself, but waits for ever for one that takes connections
//! and does not answer: a server whose machine is stopped, say, beside a standby that was promoted.

use super::tls::{self, TlsError};
use crate::config::PostgresConfig;
use crate::core::hosts::Hosts;
use deadpool_postgres::Connect;
use ports::entered;
use std::sync::Mutex;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::config::{SslMode, TargetSessionAttrs};
use tokio_postgres::{Client, Config, Error};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Silence before a sign of life is asked for.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(5);
/// Between two signs of life.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(2);
/// Signs of life that stay away before a connection is given up.
const KEEPALIVE_RETRIES: u32 = 3;

/// Opens the connections of the pool.
pub struct Connector {
    hosts: Mutex<Hosts>,
    tls: MakeRustlsConnect,
    patience: Duration,
}

type Connected = Result<(Client, JoinHandle<()>), Error>;

impl Connector {
    /// To the hosts of a configuration.
    pub fn new(config: &PostgresConfig) -> Result<Self, TlsError> {
        let tls =
            if config.tls { tls::connector(config.authority.as_deref())? } else { tls::unused()? };
        let hosts = Mutex::new(Hosts::new(&config.hosts));
        Ok(Self { hosts, tls, patience: config.timing.connect })
    }

    /// What every connection has in common.
    pub fn settings(config: &PostgresConfig, name: &str) -> Config {
        let mut settings = Config::new();
        settings
            .dbname(&config.database)
            .user(&config.user)
            .password(config.password.expose())
            .application_name(format!("fracas {name}"))
            .ssl_mode(if config.tls { SslMode::Require } else { SslMode::Disable })
            .target_session_attrs(TargetSessionAttrs::ReadWrite)
            .connect_timeout(config.timing.connect)
            .tcp_user_timeout(config.timing.call)
            .keepalives_idle(KEEPALIVE_IDLE)
            .keepalives_interval(KEEPALIVE_INTERVAL)
            .keepalives_retries(KEEPALIVE_RETRIES);
        settings
    }

    async fn find(&self, settings: Config) -> Connected {
        let mut turns = entered(self.hosts.lock()).in_turn();
        // The last one has no deadline here: the pool has one for all of them together.
        let last = turns.pop();
        for (number, (host, port)) in turns {
            match timeout(self.patience, self.open(&settings, &host, port)).await {
                Ok(Ok(connected)) => {
                    entered(self.hosts.lock()).found(number);
                    return Ok(connected);
                }
                Ok(Err(error)) => {
                    let error = ports::with_causes(&error);
                    tracing::warn!(host, port, error, "this server of PostgreSQL is not used");
                }
                Err(_) => tracing::warn!(host, port, "this server of PostgreSQL does not answer"),
            }
        }
        let (number, (host, port)) = last.expect("there is at least one host");
        let connected = self.open(&settings, &host, port).await?;
        entered(self.hosts.lock()).found(number);
        Ok(connected)
    }

    async fn open(&self, settings: &Config, host: &str, port: u16) -> Connected {
        let mut settings = settings.clone();
        settings.host(host).port(port);
        let (client, connection) = settings.connect(self.tls.clone()).await?;
        #[expect(clippy::disallowed_methods, reason = "on the adapter's own runtime")]
        let driving = tokio::spawn(async move {
            if let Err(error) = connection.await {
                let error = ports::with_causes(&error);
                tracing::warn!(error, "a connection to PostgreSQL is lost");
            }
        });
        Ok((client, driving))
    }
}

impl Connect for Connector {
    fn connect(&self, settings: &Config) -> ports::BoxFuture<'_, Connected> {
        let settings = settings.clone();
        Box::pin(self.find(settings))
    }
}
