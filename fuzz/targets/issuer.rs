//! What an OpenID provider, or whoever stands in for it, may send: its description, its keys, and tokens.

#![no_main]

use auth::core::oidc::known::KnownKeys;
use auth::core::oidc::token::{self, Demands};
use auth::core::oidc::{discovery, key_set};
use libfuzzer_sys::fuzz_target;

const ISSUER: &str = "https://id.example";

fuzz_target!(|bytes: &[u8]| {
    // A token before the first line break, if there is one, and a document behind it.
    let (text, document) = match bytes.iter().position(|byte| *byte == b'\n') {
        Some(end) => (std::str::from_utf8(&bytes[..end]).ok(), &bytes[end + 1..]),
        None => (None, bytes),
    };
    if let Ok(keys) = discovery::keys_at(document, ISSUER) {
        assert!(keys.is_encrypted, "like the issuer");
    }
    let mut known = KnownKeys::default();
    if let Ok(keys) = key_set::read(document) {
        let count = keys.len();
        assert!(count <= key_set::MAX_KEYS, "{count} keys");
        known.learn(keys.clone());
        assert!(!known.learn(keys), "the same set again is no news");
    }
    let Some(text) = text else { return };
    let demands = Demands {
        issuer: ISSUER.to_owned(),
        audience: "chat".to_owned(),
        user_claim: "sub".to_owned(),
    };
    if let Ok(claims) = token::open(text, 0, &demands, &known) {
        assert_eq!(token::claimed_issuer(text).as_deref(), Some(ISSUER), "{claims:?}");
    }
});
