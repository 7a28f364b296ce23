//! Verifies tokens of an outside issuer with keys that are fetched from it.
//!
//! No call per token. If the issuer is away, known keys stay in force; before any is known, the verifier answers
//! `NotReady`. Such an issuer tells nobody of revocations: what it has signed counts until it runs out, or until
//! the key is taken out of the set.

pub mod both;
mod fetching;
#[cfg(test)]
mod tests;

use crate::core::oidc::known::KnownKeys;
use crate::core::oidc::token::{Demands, Refusal, claimed_issuer, open};
use fetching::Fetching;
use ports::{Claims, Machine, Network, TokenError, TokenVerifier, entered};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;
use tokio::sync::Notify;

/// Whose tokens are honoured, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OidcConfig {
    /// The issuer's URL, as it stands in its tokens.
    pub issuer: String,
    /// What must stand in `aud`.
    pub audience: String,
    /// The claim that names the user.
    pub user_claim: String,
    /// How often keys are fetched.
    pub refresh: Duration,
}

/// See the module.
pub struct OidcVerifier {
    demands: Demands,
    keys: RwLock<Option<Arc<KnownKeys>>>,
    /// How often the keys have changed.
    revision: AtomicU64,
    /// A token names a key that is not known.
    wanted: Arc<Notify>,
}

impl OidcVerifier {
    /// Starts to fetch keys, over this network, until the verifier is dropped.
    pub fn start(machine: Machine, network: Arc<dyn Network>, config: OidcConfig) -> Arc<Self> {
        let OidcConfig { issuer, audience, user_claim, refresh } = config;
        let verifier = Arc::new(Self {
            demands: Demands { issuer, audience, user_claim },
            keys: RwLock::default(),
            revision: AtomicU64::default(),
            wanted: Arc::default(),
        });
        let tasks = Arc::clone(&machine.tasks);
        let fetching = Fetching::new(machine, network, &verifier);
        tasks.spawn("outside issuer", Box::pin(fetching.run(refresh)));
        verifier
    }

    /// Whether tokens can be judged.
    pub fn is_ready(&self) -> bool {
        self.keys().is_some()
    }

    /// Whether a token claims to be the issuer's.
    fn claims_to_be_its(&self, token: &str) -> bool {
        claimed_issuer(token).is_some_and(|issuer| issuer == self.demands.issuer)
    }

    fn keys(&self) -> Option<Arc<KnownKeys>> {
        entered(self.keys.read()).clone()
    }

    fn publish(&self, keys: Arc<KnownKeys>) {
        *entered(self.keys.write()) = Some(keys);
        // Behind the keys: whoever sees the number judges by no earlier ones.
        self.revision.fetch_add(1, Ordering::Release);
    }
}

impl TokenVerifier for OidcVerifier {
    fn verify(&self, token: &str, now_ms: u64) -> Result<Claims, TokenError> {
        let keys = self.keys().ok_or(TokenError::NotReady)?;
        open(token, now_ms, &self.demands, &keys).map_err(|refusal| match refusal {
            Refusal::Final(error) => error,
            Refusal::UnknownKey => {
                self.wanted.notify_one();
                // Whoever made the name up hears what everybody hears.
                TokenError::Invalid
            }
        })
    }

    fn still_valid(&self, claims: &Claims, now_ms: u64) -> Result<(), TokenError> {
        if now_ms >= claims.expires_ms {
            return Err(TokenError::Expired);
        }
        let keys = entered(self.keys.read());
        let is_known = |keys: &Arc<KnownKeys>| claims.signer.is_some_and(|key| keys.has(key));
        if keys.as_ref().is_some_and(is_known) { Ok(()) } else { Err(TokenError::Revoked) }
    }

    fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }
}
