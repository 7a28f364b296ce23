//! Fetches the keys of an outside issuer: again and again, and at once when a token names one that is not known.

use super::OidcVerifier;
use crate::core::oidc::discovery::{DiscoveryError, keys_at};
use crate::core::oidc::key_set::{self, KeySetError};
use crate::core::oidc::known::KnownKeys;
use crate::core::oidc::location::Location;
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, header};
use link::http::{HttpClient, HttpError};
use ports::{Machine, Network, with_causes};
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

/// Between two attempts while no key is known.
const FIRST: Duration = Duration::from_secs(1);
/// The shortest time from one fetch to the next, once keys are known: anybody can make a token that names a key
/// which nobody has. Behind a fetch that failed, the longest.
const AT_ONCE: Duration = Duration::from_secs(10);
/// How long an exchange may take; the issuer may be far away.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest document: a set of 64 keys has about 64 KiB.
const MAX_DOCUMENT: usize = 256 * 1024;

/// See the module.
pub struct Fetching {
    machine: Machine,
    http: HttpClient,
    issuer: String,
    verifier: Weak<OidcVerifier>,
    wanted: Arc<Notify>,
    known: Option<KnownKeys>,
    /// The last one, to tell each once.
    complaint: Option<String>,
}

/// Why keys could not be fetched.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("the status of {path} is {status}")]
    Status { path: String, status: u16 },
    #[error("{path} has {bytes} bytes, which are more than {MAX_DOCUMENT}")]
    TooLong { path: String, bytes: usize },
    #[error("{0:?} is no URL of an issuer")]
    NoUrl(String),
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    #[error(transparent)]
    Keys(#[from] KeySetError),
}

impl Fetching {
    pub fn new(machine: Machine, network: Arc<dyn Network>, verifier: &Arc<OidcVerifier>) -> Self {
        Self {
            http: HttpClient::new(Machine { network, ..machine.clone() }),
            machine,
            issuer: verifier.demands.issuer.clone(),
            verifier: Arc::downgrade(verifier),
            wanted: Arc::clone(&verifier.wanted),
            known: None,
            complaint: None,
        }
    }

    pub async fn run(mut self, refresh: Duration) {
        while self.verifier.strong_count() > 0 {
            let begun = Instant::now();
            // What was wanted up to now is what is fetched now.
            pin!(self.wanted.notified()).as_mut().enable();
            let fetched = self.fetch().await;
            let next = match (&fetched, &self.known) {
                (Ok(()), _) => refresh,
                (Err(_), None) => FIRST,
                (Err(_), Some(_)) => refresh.min(AT_ONCE),
            };
            self.tell(fetched.err());
            tokio::select! {
                biased;
                () = self.wanted.notified() => sleep_until(begun + AT_ONCE).await,
                () = sleep(next) => {}
            }
        }
    }

    async fn fetch(&mut self) -> Result<(), FetchError> {
        let no_url = || FetchError::NoUrl(self.issuer.clone());
        let discovery = Location::of_discovery(&self.issuer).ok_or_else(no_url)?;
        // Each time: the issuer may move its keys.
        let keys = keys_at(&self.get(discovery).await?, &self.issuer)?;
        let set = key_set::read(&self.get(keys).await?)?;
        let is_first = self.known.is_none();
        let known = self.known.get_or_insert_default();
        if (known.learn(set) || is_first)
            && let Some(verifier) = self.verifier.upgrade()
        {
            verifier.publish(Arc::new(known.clone()));
        }
        Ok(())
    }

    async fn get(&self, from: Location) -> Result<Bytes, FetchError> {
        let Location { address, host, path, .. } = from;
        let request = Request::get(&path)
            .header(header::HOST, host)
            .header(header::ACCEPT, "application/json")
            .body(Full::<Bytes>::default())
            .expect("parts of a URL");
        let response = self.http.exchange(&address, request, PATIENCE).await?;
        let (status, bytes) = (response.status(), response.body().len());
        if !status.is_success() {
            return Err(FetchError::Status { path, status: status.as_u16() });
        }
        if bytes > MAX_DOCUMENT {
            return Err(FetchError::TooLong { path, bytes });
        }
        Ok(response.into_body())
    }

    /// Whoever has mistyped an issuer should find out why nobody gets in, and not once a second.
    fn tell(&mut self, failed: Option<FetchError>) {
        let complaint = failed.map(|error| with_causes(&error));
        if complaint.is_some() {
            self.machine.telemetry.count("auth_issuer_fetches_failed_total", 1);
        }
        if let Some(error) = complaint.as_ref().filter(|_| complaint != self.complaint) {
            tracing::error!(%error, issuer = %self.issuer, "the keys of the issuer cannot be fetched");
        }
        self.complaint = complaint;
    }
}
