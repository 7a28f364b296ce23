//! A key set of an outside issuer (RFC 7517, RFC 7518 section 6, RFC 8037), of which only what is good for
//! signatures that are taken here is read.

use super::key::{Algorithm, VerifyingKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Value;

/// Most keys of a set: issuers have a handful.
pub const MAX_KEYS: usize = 64;

/// A key, and the name that tokens call it by.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedKey {
    /// `kid`; a set of one key may do without.
    pub name: Option<String>,
    /// The key.
    pub key: VerifyingKey,
}

/// Why a key set is not taken.
#[derive(Debug, thiserror::Error)]
pub enum KeySetError {
    /// It is no key set.
    #[error("the key set cannot be read")]
    Malformed(#[from] serde_json::Error),
    /// It is longer than anybody's.
    #[error("the key set has {0} keys, which are more than {MAX_KEYS}")]
    TooMany(usize),
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

/// A public key as it stands in a set; what is not there for its type is absent.
#[derive(Deserialize)]
struct Entry {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// The keys of a set that are of use; whatever else stands in it is for others and passed over (RFC 7517
/// section 5).
pub fn read(text: &[u8]) -> Result<Vec<NamedKey>, KeySetError> {
    let set: Set = serde_json::from_slice(text)?;
    if set.keys.len() > MAX_KEYS {
        return Err(KeySetError::TooMany(set.keys.len()));
    }
    let entries = set.keys.into_iter().filter_map(|value| serde_json::from_value(value).ok());
    Ok(entries.filter_map(|entry: Entry| entry.named_key()).collect())
}

impl Entry {
    fn named_key(self) -> Option<NamedKey> {
        let signs = self.purpose.as_deref().is_none_or(|purpose| purpose == "sig");
        let verifies =
            self.key_ops.as_ref().is_none_or(|all| all.iter().any(|one| one == "verify"));
        let key = (signs && verifies).then(|| self.key())??;
        let is_for_it = |alg: &String| Algorithm::named(alg) == Some(key.algorithm());
        self.alg.as_ref().is_none_or(is_for_it).then_some(NamedKey { name: self.kid, key })
    }

    fn key(&self) -> Option<VerifyingKey> {
        match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => VerifyingKey::rsa(&bytes(self.n.as_ref())?, &bytes(self.e.as_ref())?),
            ("EC", Some("P-256")) => {
                VerifyingKey::p256(&point(self.x.as_ref())?, &point(self.y.as_ref())?)
            }
            ("OKP", Some("Ed25519")) => VerifyingKey::ed25519(&point(self.x.as_ref())?),
            _ => None,
        }
    }
}

fn bytes(text: Option<&String>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text?).ok()
}

fn point(text: Option<&String>) -> Option<[u8; 32]> {
    bytes(text)?.try_into().ok()
}
