//! The keys that tokens are signed with: the current one, the next one before it is used, and earlier
//! ones while a token that was signed with them lives.

use crate::core::key::{Jwk, JwkSet, KeyPair, PublicKey};
use protocol::Secret;
use protocol::secret::exposed;
use serde::{Deserialize, Serialize};

/// How long a key is published before the first token is signed with it: verifiers, which ask about once a
/// second, know it by then.
pub const PUBLISHED_BEFORE_MS: u64 = 10_000;

/// A key as it is remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningKey {
    /// Its seed (RFC 8032 section 5.1.5).
    #[serde(with = "exposed")]
    pub seed: Secret<[u8; 32]>,
    /// From when on tokens are signed with it, milliseconds since the Unix epoch.
    pub from_ms: u64,
    /// When the last token that was signed with it has certainly run out; the maximum, until it has a
    /// successor.
    pub until_ms: u64,
}

/// A key that follows the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextKey {
    /// Its seed.
    #[serde(with = "exposed")]
    pub seed: Secret<[u8; 32]>,
    /// From when on tokens are signed with it.
    pub from_ms: u64,
    /// When the last token of the key before it has certainly run out.
    pub earlier_until_ms: u64,
}

impl SigningKey {
    /// The first one.
    pub const fn first(seed: [u8; 32]) -> Self {
        Self { seed: Secret::new(seed), from_ms: 0, until_ms: u64::MAX }
    }

    /// Its name.
    pub fn name(&self) -> String {
        KeyPair::from_seed(self.seed.expose()).public().kid.clone()
    }
}

/// See the module.
pub struct Signing(Vec<Held>);

struct Held {
    pair: KeyPair,
    verifying: PublicKey,
    from_ms: u64,
    until_ms: u64,
}

impl Signing {
    /// Of these keys, oldest first; there is one at least.
    pub fn of(keys: &[SigningKey]) -> Self {
        let held = keys.iter().map(|key| {
            let pair = KeyPair::from_seed(key.seed.expose());
            let verifying = pair.public().verifying().expect("a key of ours is a good one");
            Held { pair, verifying, from_ms: key.from_ms, until_ms: key.until_ms }
        });
        Self(held.collect())
    }

    /// Signs now.
    pub fn current(&self, now_ms: u64) -> &KeyPair {
        let begun = self.0.iter().rev().find(|held| held.from_ms <= now_ms);
        // A clock that was set back is before the first one.
        &begun.unwrap_or(&self.0[0]).pair
    }

    /// Signs from now on, or soon.
    pub fn newest(&self) -> &Jwk {
        self.0[self.0.len() - 1].pair.public()
    }

    /// Whether the newest one waits for its time.
    pub fn is_pending(&self, now_ms: u64) -> bool {
        self.0[self.0.len() - 1].from_ms > now_ms
    }

    /// All that a living token may be signed with.
    pub fn published(&self, now_ms: u64) -> JwkSet {
        let living = self.0.iter().filter(|held| held.until_ms > now_ms);
        JwkSet { keys: living.map(|held| held.pair.public().clone()).collect() }
    }

    /// The one of a name, if it is among them.
    pub fn named(&self, name: &str, now_ms: u64) -> Option<&PublicKey> {
        let named = |held: &&Held| held.pair.public().kid == name && held.until_ms > now_ms;
        self.0.iter().find(named).map(|held| &held.verifying)
    }
}
