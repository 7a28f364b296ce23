//! One life of a notifier: consume its queues until the shutdown.

use crate::core::breaker::BreakerConfig;
use crate::core::retry::Policy;
use crate::shell::consumer::Consumer;
use crate::shell::provider::{Provider, Webhook};
use futures_util::future::join_all;
use hyper::header::HeaderValue;
use ports::broker::Brokers;
use ports::{Conversations, Machine, Shutdown};
use protocol::limits::NotifierLimits;
use protocol::{Design, Secret};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// What a notifier is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotifierConfig {
    /// The numbers of its queues.
    pub queues: Vec<u16>,
    /// The push provider, `host:port`; empty: there is none, and every push is discarded.
    pub provider: String,
    /// The path of its webhook, from the slash on.
    pub path: String,
    /// The bearer token that it knows the cluster by, if it wants one.
    pub secret: Option<Secret>,
    /// How long the provider may take to answer.
    pub timeout: Duration,
    /// Most attempts at one push, from 1.
    pub attempts_max: u32,
    /// Upper end of the delay before the second attempt; it doubles with each one.
    pub backoff_base: Duration,
    /// Upper end of every delay.
    pub backoff_max: Duration,
    /// For how long the provider is given a rest.
    pub breaker: BreakerConfig,
    /// How much is under way and remembered.
    pub limits: NotifierLimits,
    /// Design choices.
    pub design: Design,
}

/// Why a notifier ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServeError {
    /// The path cannot stand in a request.
    #[error("the path of the webhook is {path:?}: it must begin with / and hold no white space")]
    Path {
        /// The path.
        path: String,
    },
    /// The secret cannot stand in a request.
    #[error("the secret for the push provider cannot stand in a header")]
    Secret,
}

/// Consumes until the shutdown; then finishes what was begun, gives the rest back, and returns.
pub async fn serve(
    machine: Machine,
    config: NotifierConfig,
    brokers: Brokers,
    owners: Arc<dyn Conversations>,
    shutdown: Shutdown,
) -> Result<(), ServeError> {
    if !config.path.starts_with('/') || config.path.parse::<hyper::Uri>().is_err() {
        return Err(ServeError::Path { path: config.path });
    }
    if config.provider.is_empty() {
        tracing::warn!("there is no push provider: all notifications are discarded");
    }
    let limits = config.limits;
    let breaker = BreakerConfig { failures_to_open: limits.failures_to_rest, ..config.breaker };
    let webhook = Webhook {
        address: config.provider,
        path: config.path,
        authorization: config.secret.map(|secret| bearer(&secret)).transpose()?,
        timeout: config.timeout,
        key: config.design.push_key,
    };
    let provider = Arc::new(Provider::new(machine.clone(), webhook, breaker));
    let policy = Policy {
        attempts_max: config.attempts_max,
        backoff_base: config.backoff_base,
        backoff_max: config.backoff_max,
    };
    // A share each, not one pool: whoever is asked first would take all of a pool, every time.
    let share = limits.pushes.div_ceil(config.queues.len().max(1)).max(1);
    join_all(config.queues.iter().map(|&queue| {
        let consumer = Consumer {
            machine: machine.clone(),
            jobs: Arc::clone(&brokers.jobs),
            dead_letters: Arc::clone(&brokers.dead_letters),
            owners: Arc::clone(&owners),
            choice: config.design.push,
            began: Instant::now(),
            provider: Arc::clone(&provider),
            policy,
            queue,
            concurrency: share,
            limits,
            drain: config.timeout,
            shutdown: shutdown.clone(),
        };
        consumer.run()
    }))
    .await;
    // There may be more notifiers than queues.
    shutdown.requested().await;
    Ok(())
}

/// A header that no log shows.
fn bearer(secret: &Secret) -> Result<HeaderValue, ServeError> {
    let value = format!("Bearer {}", secret.expose());
    let mut value = HeaderValue::try_from(value).map_err(|_| ServeError::Secret)?;
    value.set_sensitive(true);
    Ok(value)
}
