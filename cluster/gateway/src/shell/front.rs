//! The hub as everybody in a gateway shares it: behind a mutex that is never held across an await.
//!
//! A mutex rather than an actor: a client's frame is then handled by the task that has read it,
//! without a queue, an allocation and two wake-ups in between, and a burst of frames of one socket
//! costs one task switch. The work under the lock is some microseconds per frame; decoding, token
//! signatures and all writing happen outside.

use super::mailbox::Mailbox;
use crate::core::{Call, Hub, TokenTime};
use crate::rest::problem::{Kind, Problem};
use crate::rest::{Proxies, caller};
use axum::http::HeaderMap;
use ports::{Claims, Machine, Span, TokenError, TokenVerifier, entered};
use protocol::SessionId;
use protocol::codec::Codec;
use protocol::frames::client::{Hello, Renew};
use protocol::{ClientFrame, Partition, Secret};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// The hub, whose frames go into mailboxes.
pub type Gateway = Hub<Arc<Mailbox>>;

/// See the module.
pub struct Front {
    hub: Mutex<Gateway>,
    work: Notify,
    began: Instant,
    /// What the gateway runs on.
    pub machine: Machine,
    /// How often a silent trunk is pinged; zero: never.
    pub trunk_heartbeat: Duration,
    /// Silence after which a trunk is given up; zero: never.
    pub trunk_idle_timeout: Duration,
    /// Most sessions.
    pub sessions_max: usize,
    /// Whom to believe about where a request comes from.
    pub proxies: Proxies,
    tokens: Arc<dyn TokenVerifier>,
    subscribed: AtomicBool,
    /// Every owner has answered once.
    reached: AtomicBool,
    draining: AtomicBool,
    trunks: AtomicUsize,
}

impl Front {
    /// A front for a hub.
    pub fn new(
        hub: Gateway,
        machine: Machine,
        tokens: Arc<dyn TokenVerifier>,
        trunk_heartbeat: Duration,
        trunk_idle_timeout: Duration,
        proxies: Proxies,
    ) -> Self {
        Self {
            sessions_max: hub.sessions_max(),
            proxies,
            hub: Mutex::new(hub),
            work: Notify::new(),
            began: Instant::now(),
            machine,
            trunk_heartbeat,
            trunk_idle_timeout,
            tokens,
            subscribed: AtomicBool::new(false),
            reached: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            trunks: AtomicUsize::new(0),
        }
    }

    /// Does something with the hub, now.
    pub fn with<R>(&self, act: impl FnOnce(&mut Gateway) -> R) -> R {
        let now_us = self.began.elapsed().as_micros() as u64;
        let mut hub = entered(self.hub.lock());
        hub.at_us(now_us);
        let result = act(&mut hub);
        let work = hub.has_calls();
        let spans = hub.take_spans();
        drop(hub);
        self.tell(spans);
        if work {
            self.work.notify_one();
        }
        result
    }

    fn tell(&self, spans: Vec<Span>) {
        for span in spans {
            self.machine.traces.span(span);
        }
    }

    /// A session's connection is gone. Also called while a node is torn down, where there may be no
    /// clock any more: the time of the last event does.
    pub fn gone(&self, session: SessionId) {
        let mut hub = entered(self.hub.lock());
        hub.gone(session);
        let spans = hub.take_spans();
        drop(hub);
        self.tell(spans);
        self.work.notify_one();
    }

    /// The calls that the hub wants made, in order; waits until there are some.
    pub async fn calls(&self) -> Vec<Call> {
        loop {
            let calls = entered(self.hub.lock()).take_calls();
            if !calls.is_empty() {
                return calls;
            }
            self.work.notified().await;
        }
    }

    /// Bytes of a session.
    pub fn received(&self, session: SessionId, codec: Codec, bytes: &[u8]) {
        match codec.decode_client(bytes) {
            Ok(ClientFrame::Hello(hello)) => self.hello(session, hello),
            Ok(ClientFrame::Renew(renew)) => self.renew(session, &renew),
            Ok(frame) => self.with(|hub| {
                let token = match &frame {
                    ClientFrame::Send(_) | ClientFrame::Edit(_) | ClientFrame::Delete(_) => {
                        self.check_token(hub, session, self.machine.clock.now_ms())
                    }
                    _ => Ok(()),
                };
                hub.frame(session, frame, token);
            }),
            Err(error) => self.with(|hub| hub.undecodable(session, &error)),
        }
    }

    fn hello(&self, session: SessionId, hello: Hello) {
        if self.with(|hub| hub.awaits_hello(session, &hello)) {
            let claims = self.verified(&hello.token);
            self.with(|hub| hub.hello(session, hello, claims));
        }
    }

    fn renew(&self, session: SessionId, renew: &Renew) {
        if self.with(|hub| hub.may_renew(session)) {
            let (now_ms, claims) = (self.machine.clock.now_ms(), self.verified(&renew.token));
            self.with(|hub| hub.renew(session, claims, now_ms));
        }
    }

    /// What a token says. Checking a signature takes longer than anything else: outside of the lock, and
    /// only when the session's state allows it.
    fn verified(&self, token: &Secret) -> Result<Claims, TokenError> {
        self.tokens.verify(token.expose(), self.machine.clock.now_ms())
    }

    /// Whether the token of a session is still honoured.
    fn check_token(
        &self,
        hub: &Gateway,
        session: SessionId,
        now_ms: u64,
    ) -> Result<(), TokenError> {
        hub.claims(session).map_or(Ok(()), |claims| self.tokens.still_valid(claims, now_ms))
    }

    /// The service that opens a trunk, by the token of its request.
    pub fn trunk_service(&self, headers: &HeaderMap) -> Result<Claims, Problem> {
        let claims = caller::claims(headers, &self.machine, &*self.tokens)?;
        if claims.user.is_some() {
            return Err(Problem::new(Kind::Forbidden, "trunks are for services"));
        }
        Ok(claims)
    }

    /// Whether the token of a trunk was revoked. That it runs out ends nothing: the sessions on it have
    /// tokens of their own.
    pub fn is_revoked(&self, claims: &Claims) -> bool {
        let now_ms = self.machine.clock.now_ms();
        self.tokens.still_valid(claims, now_ms) == Err(TokenError::Revoked)
    }

    /// Time passes.
    pub fn tick(&self) {
        let now_ms = self.machine.clock.now_ms();
        let time = TokenTime { wall_ms: now_ms, revision: self.tokens.revision() };
        self.with(|hub| {
            for session in hub.tick(time) {
                let token = self.check_token(hub, session, now_ms);
                if token.is_err() {
                    hub.token_failed(session, token);
                }
            }
        });
    }

    /// Whether users should be sent here.
    pub fn is_ready(&self) -> bool {
        self.subscribed.load(Ordering::Relaxed)
            && self.reached.load(Ordering::Relaxed)
            && self.knows_keys()
            && !self.is_draining()
    }

    /// Partitions whose owners, or their broker, leave senders without an answer.
    pub fn without_answers(&self) -> Vec<Partition> {
        self.with(Hub::without_answers)
    }

    /// Whether tokens can be checked.
    fn knows_keys(&self) -> bool {
        self.tokens.verify("", self.machine.clock.now_ms()) != Err(TokenError::NotReady)
    }

    /// Every owner has answered: who logs in is served. That one of them is away later is no reason to
    /// send users elsewhere, since other gateways do not reach it either.
    pub fn reached_all(&self) {
        self.reached.store(true, Ordering::Relaxed);
    }

    /// Whether the end has begun.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Whether the gateway's queue is subscribed to.
    pub fn set_subscribed(&self, subscribed: bool) {
        self.subscribed.store(subscribed, Ordering::Relaxed);
    }

    /// A trunk has come.
    pub fn trunk_opened(&self) {
        self.trunks.fetch_add(1, Ordering::Relaxed);
    }

    /// A trunk is gone.
    pub fn trunk_ended(&self) {
        self.trunks.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether nobody is left: no session, none that still reads its last frames, and no trunk.
    pub fn is_empty(&self) -> bool {
        self.trunks.load(Ordering::Relaxed) == 0 && self.with(|hub| hub.is_empty())
    }

    /// Begins the end.
    pub fn drain(&self, over: Duration) {
        self.draining.store(true, Ordering::Relaxed);
        self.with(|hub| hub.drain(over.as_millis() as u64));
    }
}
