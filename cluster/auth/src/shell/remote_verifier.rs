//! Verifies tokens with keys and revocations that are polled from the auth service.
//!
//! No call per token: what is known is looked up. If the service is away, what is known goes on being
//! honoured; a verifier that has never reached it answers `NotReady`.

use crate::core::answers::RevocationPage;
use crate::core::key::JwkSet;
use crate::core::keyring::{Keyring, Learned, Version};
use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use link::http::{HttpClient, HttpError};
use ports::{Claims, Machine, TokenError, TokenVerifier, entered};
use protocol::design::Signatures;
use protocol::limits;
use serde::de::DeserializeOwned;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock, Weak};
use std::time::Duration;
use tokio::time::sleep;

/// Keys and revocations of a distant issuer.
pub struct RemoteVerifier {
    keyring: RwLock<Arc<Keyring>>,
    /// How often it was replaced.
    revision: AtomicU64,
    signatures: Signatures,
}

impl RemoteVerifier {
    /// Starts to poll `auth_address` (`host:port`) until the verifier is dropped. A revocation is
    /// noticed within `poll` and the time of one exchange.
    pub fn start(
        machine: Machine,
        auth_address: String,
        poll: Duration,
        signatures: Signatures,
    ) -> Arc<Self> {
        let (keyring, revision) = (RwLock::default(), AtomicU64::default());
        let verifier = Arc::new(Self { keyring, revision, signatures });
        let tasks = Arc::clone(&machine.tasks);
        let poller = Poller {
            http: HttpClient::new(machine.clone()),
            machine,
            address: auth_address,
            verifier: Arc::downgrade(&verifier),
            learning: Keyring::default(),
            published: None,
        };
        tasks.spawn("token verifier", Box::pin(poller.run(poll)));
        verifier
    }

    /// Whether tokens can be judged: the node's readiness depends on it.
    pub fn is_ready(&self) -> bool {
        self.keyring().is_complete()
    }

    fn keyring(&self) -> Arc<Keyring> {
        Arc::clone(&*entered(self.keyring.read()))
    }
}

impl TokenVerifier for RemoteVerifier {
    fn verify(&self, token: &str, now_ms: u64) -> Result<Claims, TokenError> {
        match self.signatures {
            Signatures::Checked => self.keyring().verify(token, now_ms),
            Signatures::Ignored => self.keyring().believe(token, now_ms),
        }
    }

    fn still_valid(&self, claims: &Claims, now_ms: u64) -> Result<(), TokenError> {
        // For many sessions again and again: the copy of a pointer would cost more than the look.
        entered(self.keyring.read()).still_valid(claims, now_ms)
    }

    fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }
}

/// Polls again this soon while nothing is known yet.
const FIRST_POLL: Duration = Duration::from_millis(100);

struct Poller {
    machine: Machine,
    http: HttpClient,
    address: String,
    verifier: Weak<RemoteVerifier>,
    /// May be incomplete while a new history is read; the verifier then keeps the earlier one.
    learning: Keyring,
    published: Option<Version>,
}

/// Why a poll did not get through.
#[derive(Debug, thiserror::Error)]
enum PollError {
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("status {0}")]
    Status(u16),
    #[error("an answer that is none of an auth service")]
    Malformed(#[from] serde_json::Error),
    #[error("the auth service does not publish the key that it signs with")]
    KeyUnpublished,
}

impl Poller {
    async fn run(mut self, poll: Duration) {
        while self.verifier.strong_count() > 0 {
            let polled = self.poll().await;
            // Only complete knowledge is passed on, and after a failed poll the earlier one stays.
            if let Err(error) = &polled {
                self.machine.telemetry.count("auth_polls_failed_total", 1);
                tracing::debug!(%error, address = %self.address, "polling the auth service");
            }
            let known = self.learning.is_complete();
            sleep(if known { poll } else { poll.min(FIRST_POLL) }).await;
        }
    }

    async fn poll(&mut self) -> Result<(), PollError> {
        let mut asked_for_keys = false;
        loop {
            let page: RevocationPage =
                self.get(&format!("/oauth2/revocations?after={}", self.learning.next())).await?;
            let now_ms = self.machine.clock.now_ms();
            let learned = self.learning.learn_revocations(&page, now_ms);
            if learned == Learned::KeysMissing {
                if asked_for_keys {
                    return Err(PollError::KeyUnpublished);
                }
                asked_for_keys = true;
                let keys: JwkSet = self.get("/oauth2/jwks").await?;
                self.learning.learn_keys(&keys);
                continue;
            }
            if learned == Learned::Everything {
                self.publish();
                return Ok(());
            }
        }
    }

    /// Passes what was learned on, if it differs from what the verifier has: the copy costs as much as
    /// there are revocations.
    fn publish(&mut self) {
        let version = self.learning.version();
        if let Some(verifier) = self.verifier.upgrade()
            && self.published.as_ref() != Some(&version)
        {
            let keyring = Arc::new(self.learning.clone());
            *entered(verifier.keyring.write()) = keyring;
            // Behind the keyring: whoever sees the number judges by no earlier one.
            verifier.revision.fetch_add(1, Ordering::Release);
            self.published = Some(version);
        }
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, PollError> {
        let request = Request::get(path).body(Full::<Bytes>::default()).expect("our own path");
        let deadline = limits::LINK_CONNECT_TIMEOUT;
        let response = self.http.exchange(&self.address, request, deadline).await?;
        if !response.status().is_success() {
            return Err(PollError::Status(response.status().as_u16()));
        }
        Ok(serde_json::from_slice(response.body())?)
    }
}
