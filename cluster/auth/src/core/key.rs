//! The Ed25519 key that signs tokens (RFC 8032), and its public half as a JWK (RFC 7517, RFC 8037).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The issuer's key pair.
pub struct KeyPair {
    signing: SigningKey,
    public: Jwk,
}

impl KeyPair {
    /// The key pair of a seed of 32 random bytes (RFC 8032 section 5.1.5).
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let signing = SigningKey::from_bytes(seed);
        let public = Jwk::of(&signing.verifying_key());
        Self { signing, public }
    }

    /// Signs. Ed25519 draws no randomness: the same message has the same signature.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.signing.sign(message).to_bytes()
    }

    /// The public half.
    pub fn public(&self) -> &Jwk {
        &self.public
    }
}

/// A public key in a key set (RFC 7517 section 4, RFC 8037 section 2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwk {
    /// The key type: `OKP`.
    pub kty: String,
    /// The curve: `Ed25519`.
    pub crv: String,
    /// The public key, 32 bytes, base64url.
    pub x: String,
    /// The key's name: its thumbprint (RFC 7638).
    pub kid: String,
    /// `EdDSA`.
    pub alg: String,
    /// `sig`.
    #[serde(rename = "use")]
    pub purpose: String,
}

/// A key set (RFC 7517 section 5).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JwkSet {
    /// The keys.
    pub keys: Vec<Jwk>,
}

impl Jwk {
    fn of(key: &VerifyingKey) -> Self {
        let x = URL_SAFE_NO_PAD.encode(key.as_bytes());
        // RFC 7638 section 3.2: the required members in lexicographic order, without white space.
        let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
        Self {
            kty: "OKP".into(),
            crv: "Ed25519".into(),
            x,
            kid: URL_SAFE_NO_PAD.encode(Sha256::digest(canonical.as_bytes())),
            alg: "EdDSA".into(),
            purpose: "sig".into(),
        }
    }

    /// The key that it describes; `None` if it is of another type, malformed or weak.
    pub fn verifying(&self) -> Option<PublicKey> {
        if self.kty != "OKP" || self.crv != "Ed25519" {
            return None;
        }
        let bytes: [u8; 32] = URL_SAFE_NO_PAD.decode(&self.x).ok()?.try_into().ok()?;
        PublicKey::of(&bytes)
    }
}

/// A key that checks signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// The key of an encoded point (RFC 8032 section 5.1.2); `None` if it is none, or a weak one.
    pub fn of(bytes: &[u8; 32]) -> Option<Self> {
        let key = VerifyingKey::from_bytes(bytes).ok()?;
        (!key.is_weak()).then_some(Self(key))
    }

    /// Whether a signature is this key's. Strict: of the several encodings that plain verification
    /// would take for one signature, one is right.
    pub fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.0.verify_strict(message, &Signature::from_bytes(signature)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of RFC 8037 appendix A: its seed, public key and thumbprint.
    fn known() -> KeyPair {
        let seed = URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
        KeyPair::from_seed(&seed.try_into().unwrap())
    }

    #[test]
    fn the_key_of_rfc_8037_has_its_thumbprint() {
        let jwk = known().public().clone();
        assert_eq!(jwk.x, "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        assert_eq!(jwk.kid, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn the_signature_of_rfc_8037_comes_out() {
        let signature = known().sign(b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc");
        assert_eq!(
            URL_SAFE_NO_PAD.encode(signature),
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
        );
        assert!(
            known()
                .public()
                .verifying()
                .unwrap()
                .verifies(b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc", &signature)
        );
    }

    #[test]
    fn a_foreign_or_weak_key_is_no_key() {
        let good = known().public().clone();
        let weak = URL_SAFE_NO_PAD.encode([0; 32]);
        assert_eq!(Jwk { kty: "RSA".into(), ..good.clone() }.verifying(), None);
        assert_eq!(Jwk { crv: "X25519".into(), ..good.clone() }.verifying(), None);
        assert_eq!(Jwk { x: "AA".into(), ..good.clone() }.verifying(), None);
        assert_eq!(Jwk { x: weak, ..good }.verifying(), None);
    }
}
