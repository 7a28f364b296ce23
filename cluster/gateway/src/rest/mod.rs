//! The REST face of the cluster: conversations, membership, backlog, receipts, dead letters,
//! operations, and a window to the auth service, so that a client needs one base URL.
//!
//! `routes` is the one table of routes: it builds the router, and a test holds it against
//! `openapi.json`, both ways. Errors are problem details (RFC 9457). Messages are not sent here: that
//! is the WebSocket's business, and so are sessions.

mod batch;
pub(crate) mod caller;
mod conversations;
mod dead_letters;
mod entries;
mod export;
mod input;
mod measured;
mod members;
mod operations;
pub(crate) mod problem;
mod proxies;
mod proxy;
mod receipts;
mod routes;
mod source;
#[cfg(test)]
mod tests;

pub use proxies::Proxies;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use link::http::HttpClient;
use ports::broker::{DeadLetters, Depths};
use ports::{Conversations, Machine, TokenVerifier};
use protocol::limits::{self, GatewayLimits};
use protocol::throttle::Throttle;
use protocol::{Partition, UserId};
use source::Sources;
use std::sync::{Arc, Mutex};
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// What the routes stand on.
#[derive(Clone)]
pub struct RestState {
    /// The node's machine: randomness for ids, the wall clock for tokens, the network for the proxy.
    pub machine: Machine,
    /// What could not be processed.
    pub dead_letters: Arc<dyn DeadLetters>,
    /// How much waits where.
    pub depths: Arc<dyn Depths>,
    /// The owners of conversations.
    pub conversations: Arc<dyn Conversations>,
    /// Who somebody is.
    pub tokens: Arc<dyn TokenVerifier>,
    /// The node's numbers as Prometheus text.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// The partitions without answers, if the node can do its work now.
    pub ready: Arc<dyn Fn() -> Option<Vec<Partition>> + Send + Sync>,
    /// The auth service, `host:port`.
    pub auth_address: String,
    /// Partitions of the cluster.
    pub partitions_total: u16,
    /// How much users may ask.
    pub limits: GatewayLimits,
    /// Whom to believe about where a request comes from.
    pub proxies: Proxies,
}

/// What the handlers share: the state, connections to the auth service, the callers' allowances.
struct Rest {
    state: RestState,
    http: HttpClient,
    allowances: Mutex<Throttle<UserId>>,
    sources: Sources,
    /// Requests with a token that may be under way.
    places: Arc<Semaphore>,
    /// Requests to the auth service that may be under way.
    passed_on: Semaphore,
    started: Instant,
}

impl Rest {
    /// Milliseconds since the gateway began.
    fn now_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }
}

/// All REST routes. It has a fallback; merge it with routers that have none.
pub fn router(state: RestState) -> Router {
    let GatewayLimits { rest_per_second, rest_burst, rest_users, .. } = state.limits;
    let allowances = Throttle::per_second(rest_per_second, rest_burst, rest_users);
    let rest = Arc::new(Rest {
        places: Arc::new(Semaphore::new(state.limits.rest_requests)),
        passed_on: Semaphore::new(proxy::AT_ONCE),
        http: HttpClient::new(state.machine.clone()),
        allowances: Mutex::new(allowances),
        sources: Sources::new(&state.limits),
        state,
        started: Instant::now(),
    });
    routes::router()
        .fallback(routes::no_such_route)
        .method_not_allowed_fallback(routes::no_such_method)
        .layer(DefaultBodyLimit::max(limits::MAX_REST_BODY_BYTES))
        .layer(from_fn_with_state(Arc::clone(&rest), measured::measure))
        .with_state(rest)
}
