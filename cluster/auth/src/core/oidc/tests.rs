//! Tokens, keys and key sets, as an issuer would make them, and as somebody would who wants to get in.

mod claims;
mod forged;
mod keys;

use super::key_set::{self, NamedKey};
use super::known::KnownKeys;
use super::token::{Demands, Refusal, open};
use crate::core::key;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ports::{Claims, TokenError};
use serde_json::{Value, json};
use std::sync::LazyLock;

pub const ISSUER: &str = "http://issuer:9000";
pub const AUDIENCE: &str = "https://chat.example";

/// A key of an issuer.
pub enum Signing {
    Rs256(rsa::KeyPair),
    Es256(EcdsaKeyPair),
    EdDsa(Box<key::KeyPair>),
}

pub fn rs256() -> Signing {
    Signing::Rs256(rsa::KeyPair::generate(rsa::KeySize::Rsa2048).expect("randomness"))
}

pub fn es256() -> Signing {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("randomness");
    Signing::Es256(pair)
}

pub fn eddsa(seed: u8) -> Signing {
    Signing::EdDsa(Box::new(key::KeyPair::from_seed(&[seed; 32])))
}

/// One of each, made once: RSA takes its time.
pub static KEYS: LazyLock<[(&'static str, Signing); 3]> =
    LazyLock::new(|| [("rsa", rs256()), ("ec", es256()), ("ed", eddsa(1))]);

impl Signing {
    pub fn algorithm(&self) -> &'static str {
        match self {
            Self::Rs256(_) => "RS256",
            Self::Es256(_) => "ES256",
            Self::EdDsa(_) => "EdDSA",
        }
    }

    /// The public half, as it stands in a key set.
    pub fn jwk(&self, name: &str) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::Rs256(pair) => {
                let public = pair.public_key();
                let n = text(public.modulus().big_endian_without_leading_zero());
                let e = text(public.exponent().big_endian_without_leading_zero());
                json!({ "kty": "RSA", "kid": name, "use": "sig", "n": n, "e": e })
            }
            Self::Es256(pair) => {
                let point = pair.public_key().as_ref();
                let (x, y) = (text(&point[1..33]), text(&point[33..]));
                json!({ "kty": "EC", "crv": "P-256", "kid": name, "alg": "ES256", "x": x, "y": y })
            }
            Self::EdDsa(pair) => {
                let x = &pair.public().x;
                json!({ "kty": "OKP", "crv": "Ed25519", "kid": name, "key_ops": ["verify"], "x": x })
            }
        }
    }

    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let signed = pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature);
                signed.expect("a key of 2,048 bits");
                signature
            }
            Self::Es256(pair) => pair.sign(&random, message).expect("randomness").as_ref().to_vec(),
            Self::EdDsa(pair) => pair.sign(message).to_vec(),
        }
    }

    /// A token with this header and payload, whatever they are.
    pub fn token(&self, header: &Value, payload: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(payload));
        let signature = self.sign(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// A good token.
    pub fn good(&self, name: &str) -> String {
        self.token(&self.header(name), &payload())
    }

    pub fn header(&self, name: &str) -> Value {
        json!({ "alg": self.algorithm(), "typ": "at+jwt", "kid": name })
    }
}

/// What a good token says; it counts from second 900 up to second 1,000.
pub fn payload() -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "user-7", "client_id": "app", "jti": "1",
        "iat": 900, "nbf": 900, "exp": 1_000, "scope": "openid chat admin",
    })
}

/// The same with other claims; `null` takes one out.
pub fn payload_with(changes: &Value) -> Value {
    let mut payload = payload();
    let all = payload.as_object_mut().expect("an object");
    for (name, value) in changes.as_object().expect("an object") {
        all.insert(name.clone(), value.clone());
    }
    all.retain(|_, value| !value.is_null());
    payload
}

pub fn demands() -> Demands {
    let [issuer, audience, user_claim] = [ISSUER, AUDIENCE, "sub"].map(str::to_owned);
    Demands { issuer, audience, user_claim }
}

pub fn set_of(jwks: &[Value]) -> Vec<NamedKey> {
    key_set::read(json!({ "keys": jwks }).to_string().as_bytes()).expect("a key set")
}

pub fn known(jwks: &[Value]) -> KnownKeys {
    let mut known = KnownKeys::default();
    known.learn(set_of(jwks));
    known
}

/// All keys of `KEYS`.
fn all() -> KnownKeys {
    known(&KEYS.iter().map(|(name, key)| key.jwk(name)).collect::<Vec<_>>())
}

const INVALID: Result<Claims, Refusal> = Err(Refusal::Final(TokenError::Invalid));
const NOW_MS: u64 = 950_000;

fn check(token: &str) -> Result<Claims, Refusal> {
    open(token, NOW_MS, &demands(), &all())
}
