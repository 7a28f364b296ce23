//! One life of the auth service: recover, serve, drain.

use crate::core::issuer::Issuer;
use crate::core::settings::{DevelopmentUsers, ServiceClient, Settings};
use crate::shell::log::{Commits, Log, OpenError};
use crate::shell::routes::router;
use crate::shell::service::Service;
use link::http_server::{HttpOptions, serve_http};
use ports::disk::until_open;
use ports::{Listener, Machine, Shutdown};
use protocol::limits::AuthLimits;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// What the service is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthConfig {
    /// The issuer's identifier: the URL under which clients reach it (RFC 8414 section 2).
    pub issuer: String,
    /// Users 1 to `count`, if the password grant is on.
    pub development_users: Option<DevelopmentUsers>,
    /// Services, for the client credentials grant.
    pub services: Vec<ServiceClient>,
    /// How long an access token lives. A user's revocation takes effect within a poll of the
    /// verifiers; everything else waits for this.
    pub access_token_lifetime: Duration,
    /// How long a refresh token lives, from its own issue on.
    pub refresh_token_lifetime: Duration,
    /// How much it holds.
    pub limits: AuthLimits,
}

/// Why the service ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The listener is broken.
    #[error("accepting connections")]
    Accept(#[source] io::Error),
    /// The log cannot be opened.
    #[error("the issuer's log")]
    Log(#[from] OpenError),
}

/// Serves until the shutdown; then finishes what is under way and returns.
pub async fn serve(
    machine: Machine,
    listener: Box<dyn Listener>,
    config: AuthConfig,
    shutdown: Shutdown,
) -> Result<(), ServeError> {
    let mut seed = [0; 32];
    machine.entropy.fill(&mut seed);
    let worker = machine.tasks.worker("auth log");
    let open = || Log::open(Arc::clone(&machine.disk), Arc::clone(&worker), seed, config.limits);
    let opened = until_open("the issuer's log", &shutdown, open, OpenError::is_full).await?;
    let Some((log, state)) = opened else { return Ok(()) };
    let users = config.development_users.as_ref().map_or(0, |users| users.count);
    let settings = Settings {
        issuer: config.issuer,
        development_users: config.development_users,
        services: config.services,
        access_token_lifetime: config.access_token_lifetime,
        refresh_token_lifetime: config.refresh_token_lifetime,
        limits: config.limits,
    };
    let (commits, line) = Commits::new();
    let issuer = Issuer::new(settings, state);
    let families = users.saturating_mul(config.limits.logins_per_user as u64);
    let service = Arc::new(Service::new(machine.clone(), issuer, commits, families));
    let snapshot_of = Arc::clone(&service);
    let writing = log.run(line, move || {
        snapshot_of.count("auth_journal_compactions_total");
        snapshot_of.snapshot()
    });
    let options = HttpOptions::default();
    let serving = serve_http(&machine, listener, router(service), options, shutdown);
    // The server ends by itself; the writer only with the node, and then nothing may be answered.
    tokio::select! {
        biased;
        () = writing => Err(OpenError::WorkerGone.into()),
        served = serving => served.map_err(ServeError::Accept),
    }
}
