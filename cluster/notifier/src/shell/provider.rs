//! The push provider: a webhook behind a circuit breaker that all queues share.

use crate::core::breaker::{Blame, Breaker, BreakerConfig, Permit, Wait};
use crate::core::hand::Held;
use crate::core::outcome::{Outcome, retry_after};
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::HeaderValue;
use hyper::{Request, header};
use link::http::{HttpClient, HttpError};
use ports::{Machine, entered, with_causes};
use protocol::design::PushKey;
use serde::Serialize;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::Instant;

/// Where pushes go.
pub struct Provider {
    machine: Machine,
    http: HttpClient,
    webhook: Webhook,
    breaker: Mutex<Breaker>,
    changed: Notify,
    started: Instant,
}

/// How it is asked.
pub struct Webhook {
    /// `host:port`; empty: there is none.
    pub address: String,
    pub path: String,
    /// What it knows the cluster by.
    pub authorization: Option<HeaderValue>,
    /// How long an answer may take.
    pub timeout: Duration,
    pub key: PushKey,
}

/// What is posted. `idempotency_key` is in the header, too.
#[derive(Serialize)]
struct Notification<'a> {
    idempotency_key: &'a str,
    user: u64,
    conversation: u64,
    sequence: u64,
    author: u64,
    preview: &'a str,
    at_ms: u64,
}

/// The header that lets a provider recognise a push that it has already taken. A push is made again
/// when its answer or its settlement got lost.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// There is no leave now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskAgain {
    /// Or earlier, if `changed` ends.
    At(Instant),
    /// When `changed` ends.
    AfterProbe,
}

/// Leave to make one attempt. Dropped without an outcome, the attempt says nothing.
pub struct Attempt {
    provider: Arc<Provider>,
    permit: Option<Permit>,
}

impl Provider {
    /// A provider that is taken for healthy.
    pub fn new(machine: Machine, webhook: Webhook, breaker: BreakerConfig) -> Self {
        let (breaker, changed) = (Mutex::new(Breaker::new(breaker)), Notify::new());
        let http = HttpClient::new(machine.clone());
        Self { machine, http, webhook, breaker, changed, started: Instant::now() }
    }

    /// Whether there is one at all.
    pub fn exists(&self) -> bool {
        !self.webhook.address.is_empty()
    }

    /// Leave to make an attempt, or when to ask again.
    pub fn attempt(self: &Arc<Self>) -> Result<Attempt, AskAgain> {
        match self.lock().permit(self.now_ms()) {
            Ok(permit) => Ok(Attempt { provider: Arc::clone(self), permit: Some(permit) }),
            Err(Wait { until_ms: None }) => Err(AskAgain::AfterProbe),
            Err(Wait { until_ms: Some(ms) }) => {
                Err(AskAgain::At(self.started + Duration::from_millis(ms)))
            }
        }
    }

    /// Ends at the next outcome that is recorded after this call.
    pub fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    async fn post(&self, held: &Held) -> Outcome {
        let begun = Instant::now();
        let Webhook { address, timeout, .. } = &self.webhook;
        let answer = self.http.exchange(address, self.request(held), *timeout).await;
        self.machine.telemetry.time("notifier_provider_seconds", begun.elapsed());
        match answer {
            Ok(response) => {
                let wanted = response.headers().get(header::RETRY_AFTER);
                let wanted = wanted.and_then(|value| {
                    retry_after(value.to_str().ok()?, self.machine.clock.now_ms())
                });
                Outcome::of_status(response.status().as_u16(), wanted)
            }
            Err(
                error @ (HttpError::Connect { .. } | HttpError::Timeout(_) | HttpError::Broken(_)),
            ) => Outcome::Failed { why: with_causes(&error), retry_after: None },
        }
    }

    fn request(&self, held: &Held) -> Request<Full<Bytes>> {
        let job = &held.job;
        let key = format!("{}-{}-{}", held.user, job.conversation, job.sequence);
        let key = match self.webhook.key {
            PushKey::Message => key,
            PushKey::Attempt => format!("{key}-{}", held.attempt),
        };
        let notification = Notification {
            idempotency_key: &key,
            user: held.user.0,
            conversation: job.conversation.0,
            sequence: job.sequence.0,
            author: job.author.0,
            preview: &job.preview,
            at_ms: job.at_ms,
        };
        let body = serde_json::to_vec(&notification).expect("plain fields");
        let mut request = Request::post(&self.webhook.path)
            .header(header::CONTENT_TYPE, "application/json")
            .header(IDEMPOTENCY_KEY, &key)
            .body(Full::from(body))
            .expect("the path was checked at the start, and the key is digits");
        if let Some(value) = &self.webhook.authorization {
            request.headers_mut().insert(header::AUTHORIZATION, value.clone());
        }
        request
    }

    fn now_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    fn lock(&self) -> MutexGuard<'_, Breaker> {
        entered(self.breaker.lock())
    }
}

impl Attempt {
    /// Makes the attempt; how it ended, and whose fault that was.
    pub async fn make(mut self, held: &Held) -> (Outcome, Blame) {
        let outcome = self.provider.post(held).await;
        let permit = self.permit.take().expect("taken here or in drop");
        let now_ms = self.provider.now_ms();
        let (blame, opened) = {
            let mut breaker = self.provider.lock();
            let closed = breaker.is_closed();
            let blame = breaker.record(permit, outcome.health(), now_ms);
            (blame, closed && !breaker.is_closed())
        };
        if opened {
            tracing::warn!(provider = %self.provider.webhook.address, ?outcome, "circuit breaker opened");
            self.provider.machine.telemetry.count("notifier_breaker_opened_total", 1);
        }
        self.provider.changed.notify_waiters();
        (outcome, blame)
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            self.provider.lock().abandon(permit);
            self.provider.changed.notify_waiters();
        }
    }
}
