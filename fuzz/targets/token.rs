//! Tokens that anybody may make up: none of them is good.

#![no_main]

use auth::core::key::KeyPair;
use auth::core::refresh_token::RefreshToken;
use auth::core::token;
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static KEY: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::from_seed(&[7; 32]));

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let public = KEY.public().verifying().expect("a key of our own");
    assert!(token::open(text, "issuer", 0, |_| Some(&public)).is_err(), "nobody has signed it");
    // What it claims is looked up, and not believed.
    let _ = token::claimed_key(text);
    if let Some(refresh) = RefreshToken::from_text(text) {
        assert_eq!(refresh.to_text().expose(), text, "a token has one form");
    }
});
