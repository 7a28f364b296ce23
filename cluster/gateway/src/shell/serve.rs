//! A gateway from its start to the end of its drain.

use super::calls::{Caller, reach};
use super::deliveries::{consume, listen};
use super::front::Front;
use super::{incarnation, upgrade};
use crate::core::{Hub, HubConfig};
use crate::rest::Proxies;
use link::accept::Acceptor;
use link::http_server::{HttpOptions, serve_accepted};
use ports::broker::{Brokers, GatewayLife};
use ports::{Conversations, Listener, Machine, Shutdown, TokenVerifier};
use protocol::design::{ClientHeartbeat, Design};
use protocol::limits::GatewayLimits;
use protocol::{CloseCode, GatewayId, limits};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::AbortHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

/// What a gateway is told once.
#[derive(Clone, Debug)]
pub struct GatewayConfig {
    /// Its number.
    pub id: GatewayId,
    /// Partitions of the cluster.
    pub partitions_total: u16,
    /// Design choices.
    pub design: Design,
    /// Where the auth service is reached, `host:port`.
    pub auth_address: String,
    /// How often a silent session is pinged; zero: never.
    pub heartbeat: Duration,
    /// Silence after which a session is given up; zero: never.
    pub idle_timeout: Duration,
    /// What it holds, at most.
    pub limits: GatewayLimits,
    /// Over how long the sessions are told to go at a shutdown.
    pub drain_over: Duration,
    /// Whom to believe about where a request comes from.
    pub proxies: Proxies,
}

/// Why a gateway ended without being asked to.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The listener is broken.
    #[error("accepting connections")]
    Accept(#[source] io::Error),
}

/// The hub's sense of time.
const TICK: Duration = Duration::from_millis(100);
/// Ticks between two looks at the numbers.
const FIGURES_EVERY: u32 = 10;
/// How long a request's head may take, and how long those under way may take at the end.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves WebSockets and REST on a listener; returns after the drain.
#[expect(clippy::too_many_arguments, reason = "the seams of a gateway, each of another kind")]
pub async fn serve(
    machine: Machine,
    listener: Box<dyn Listener>,
    config: GatewayConfig,
    brokers: Brokers,
    conversations: Arc<dyn Conversations>,
    tokens: Arc<dyn TokenVerifier>,
    metrics: Arc<dyn Fn() -> String + Send + Sync>,
    shutdown: Shutdown,
) -> Result<(), ServeError> {
    let incarnation = incarnation::begin(&machine).await;
    let sampler = machine.traces.sampler();
    let hub_config = hub_config(&config, incarnation);
    let hub = Hub::new(hub_config).traced(sampler);
    let beats = config.design.client_heartbeat == ClientHeartbeat::On;
    let of = |time: Duration| if beats { time } else { Duration::ZERO };
    let (heartbeat, idle_timeout) = (of(config.heartbeat), of(config.idle_timeout));
    let (verifier, proxies) = (tokens.clone(), config.proxies.clone());
    let front = Front::new(hub, machine.clone(), verifier, heartbeat, idle_timeout, proxies);
    let front = Arc::new(front);
    let events = conversations.announce(config.id, incarnation);
    let caller = Caller::new(front.clone(), brokers.inbound.clone(), conversations.clone());
    let life = GatewayLife { gateway: config.id, incarnation };
    let consumer = consume(front.clone(), brokers.fanout.clone(), life, config.limits.prefetch);
    let tasks = Aborted(vec![
        machine.spawn("gateway calls", caller.run()),
        machine.spawn("gateway deliveries", consumer),
        machine.spawn("gateway events", listen(front.clone(), events)),
        machine.spawn("gateway reach", reach(front.clone(), conversations.clone())),
        machine.spawn("gateway time", keep_time(front.clone(), config.limits)),
    ]);
    let router = router(&front, &config, brokers, conversations, tokens, metrics);
    let (over, is_over) = Shutdown::new();
    let limits = config.limits;
    let http = HttpOptions {
        connections_max: limits.connections,
        header_timeout: HEAD_TIMEOUT,
        write_timeout: Duration::from_secs(limits.stalled_answer_seconds.into()),
        drain: HEAD_TIMEOUT,
    };
    let proxies = config.proxies.clone();
    let acceptor = Acceptor::new(&machine, listener, http.connections_max);
    let acceptor = acceptor.shared(move |peer| proxies.whose_connection(peer));
    let mut serving = pin!(serve_accepted(&machine, acceptor, router, http, is_over));
    let ending = async {
        shutdown.requested().await;
        drain(&front, config.drain_over).await;
    };
    tokio::select! {
        biased;
        () = ending => {}
        served = serving.as_mut() => return served.map_err(ServeError::Accept),
    }
    over.request();
    let served = serving.await;
    drop(tasks);
    served.map_err(ServeError::Accept)
}

/// Tasks that end with the gateway.
struct Aborted(Vec<AbortHandle>);

impl Drop for Aborted {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

fn hub_config(config: &GatewayConfig, incarnation: protocol::Incarnation) -> HubConfig {
    HubConfig {
        gateway: config.id,
        incarnation,
        partitions: config.partitions_total,
        design: config.design,
        heartbeat_ms: config.heartbeat.as_millis() as u64,
        idle_timeout_ms: config.idle_timeout.as_millis() as u64,
        limits: config.limits,
    }
}

fn router(
    front: &Arc<Front>,
    config: &GatewayConfig,
    brokers: Brokers,
    conversations: Arc<dyn Conversations>,
    tokens: Arc<dyn TokenVerifier>,
    metrics: Arc<dyn Fn() -> String + Send + Sync>,
) -> axum::Router {
    let readiness = front.clone();
    let rest = crate::rest::router(crate::rest::RestState {
        machine: front.machine.clone(),
        dead_letters: brokers.dead_letters,
        depths: brokers.depths,
        conversations,
        tokens,
        metrics,
        ready: Arc::new(move || readiness.is_ready().then(|| readiness.without_answers())),
        auth_address: config.auth_address.clone(),
        partitions_total: config.partitions_total,
        limits: config.limits,
        proxies: config.proxies.clone(),
    });
    axum::Router::new()
        .route("/v1/ws", axum::routing::any(upgrade::upgrade))
        .with_state(front.clone())
        .merge(rest)
        .layer(axum::middleware::from_fn(upgrade::one_host))
}

async fn keep_time(front: Arc<Front>, limits: GatewayLimits) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut count = 0;
    loop {
        ticks.tick().await;
        front.tick();
        count += 1;
        if count % FIGURES_EVERY == 0 {
            report(&front, limits);
        }
    }
}

fn report(front: &Front, limits: GatewayLimits) {
    let figures = front.with(Hub::take_figures);
    let telemetry = &front.machine.telemetry;
    telemetry.gauge("gateway_sessions", figures.sessions, front.sessions_max as u64);
    telemetry.gauge("gateway_greeting_sessions", figures.greeting, limits.greeting as u64);
    telemetry.count("gateway_refused_strangers", figures.refused_strangers);
    let frames = limits.session_queue_frames as u64;
    let bytes = limits.session_queue_bytes as u64;
    telemetry.gauge("gateway_session_queue_frames", figures.queue_frames_max, frames);
    telemetry.gauge("gateway_session_queue_bytes", figures.queue_bytes_max, bytes);
    telemetry.count("gateway_frames_out", figures.frames_out);
    telemetry.count("gateway_dropped_state_frames", figures.state_dropped);
    telemetry.count("gateway_frames_in", figures.counts.frames_in);
    telemetry.count("gateway_rejections", figures.counts.rejections);
    telemetry.count("gateway_unanswered_sends", figures.counts.unanswered);
    telemetry.times("gateway_send", &figures.counts.answered);
    telemetry.count("gateway_repairs", figures.counts.repairs);
    telemetry.count("gateway_evicted_entries", figures.counts.evicted);
    for (code, count) in CloseCode::ALL.into_iter().zip(figures.counts.closes) {
        if count > 0 {
            telemetry.count(closes_name(code), count);
        }
    }
}

const fn closes_name(code: CloseCode) -> &'static str {
    match code {
        CloseCode::Normal => "gateway_closes_normal",
        CloseCode::TooBig => "gateway_closes_too_big",
        CloseCode::Malformed => "gateway_closes_malformed",
        CloseCode::Unauthenticated => "gateway_closes_unauthenticated",
        CloseCode::OutOfOrder => "gateway_closes_out_of_order",
        CloseCode::HelloTimeout => "gateway_closes_hello_timeout",
        CloseCode::IdleTimeout => "gateway_closes_idle_timeout",
        CloseCode::Replaced => "gateway_closes_replaced",
        CloseCode::SlowConsumer => "gateway_closes_slow_consumer",
        CloseCode::RateLimited => "gateway_closes_rate_limited",
        CloseCode::Draining => "gateway_closes_draining",
        CloseCode::Full => "gateway_closes_full",
        CloseCode::Unavailable => "gateway_closes_unavailable",
    }
}

/// Tells everybody to go, spread over a time, and waits until they are gone, but not for ever.
async fn drain(front: &Front, over: Duration) {
    front.drain(over);
    let linger = Duration::from_millis(crate::core::LINGER_MS);
    let deadline = Instant::now() + over + linger;
    while Instant::now() < deadline && !front.is_empty() {
        sleep(TICK).await;
    }
    front.with(|hub| hub.close_all(CloseCode::Draining));
    // A trunk sees at its next beat that it has no sessions any more.
    let deadline = Instant::now() + linger + super::trunk::BEAT + TICK;
    while Instant::now() < deadline && !front.is_empty() {
        sleep(TICK).await;
    }
}

/// The heartbeat of clients by the cluster's limits.
impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            id: GatewayId(1),
            partitions_total: 16,
            design: Design::default(),
            auth_address: String::new(),
            heartbeat: limits::CLIENT_HEARTBEAT,
            idle_timeout: limits::CLIENT_IDLE_TIMEOUT,
            limits: GatewayLimits::default(),
            drain_over: Duration::from_secs(5),
            proxies: Proxies::default(),
        }
    }
}
