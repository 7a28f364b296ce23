//! Tokens that nobody with a key has made, or not as they claim.

use super::super::token::{MAX_TOKEN_BYTES, claimed_issuer};
use super::*;
use proptest::prelude::*;
use sha2::{Digest, Sha256};

const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";

/// Nobody gets in; a name of a key that was changed may be asked for.
fn is_refused(token: &str) -> bool {
    [INVALID, Err(Refusal::UnknownKey)].contains(&check(token))
}

#[test]
fn every_character_of_a_token_of_every_algorithm_counts() {
    for (name, key) in KEYS.iter() {
        let token = key.good(name);
        for position in 0..token.len() {
            let byte = token.as_bytes()[position];
            // The next of the alphabet: in a last character, it may differ in bits that say nothing.
            let at = ALPHABET.iter().position(|known| *known == byte).expect("a character of it");
            for step in [1, 2, 17] {
                let mut changed = token.clone().into_bytes();
                changed[position] = ALPHABET[(at + step) % ALPHABET.len()];
                let changed = String::from_utf8(changed).expect("ASCII");
                assert!(is_refused(&changed), "{name}, {position}: {changed}");
            }
        }
    }
}

#[test]
fn what_is_cut_off_or_appended_counts() {
    for (name, key) in KEYS.iter() {
        let token = key.good(name);
        for length in 0..token.len() {
            assert!(is_refused(&token[..length]), "{name}, {length}");
        }
        for more in [".", "=", "A", ".AAAA", " "] {
            assert_eq!(check(&format!("{token}{more}")), INVALID, "{name}: {more:?}");
        }
    }
}

#[test]
fn no_key_is_used_for_the_algorithm_of_another() {
    for (name, key) in KEYS.iter() {
        for (other, of_other) in KEYS.iter().filter(|(other, _)| other != name) {
            // With the algorithm of one and the name of the other, signed by either.
            for signing in [key, of_other] {
                for (alg, kid) in [(of_other.algorithm(), name), (key.algorithm(), other)] {
                    let header = json!({ "alg": alg, "kid": kid });
                    let token = signing.token(&header, &payload());
                    assert_eq!(check(&token), INVALID, "{name} as {other}: {alg} {kid}");
                }
            }
        }
    }
}

/// HMAC-SHA-256 (RFC 2104), for those who take a public key for a secret.
fn hmac(secret: &[u8], message: &[u8]) -> Vec<u8> {
    let mut block = [0_u8; 64];
    match secret.len() {
        0..=64 => block[..secret.len()].copy_from_slice(secret),
        _ => block[..32].copy_from_slice(&Sha256::digest(secret)),
    }
    let padded = |pad: u8| block.map(|byte| byte ^ pad);
    let inner = Sha256::digest([&padded(0x36), message].concat());
    Sha256::digest([&padded(0x5c), inner.as_slice()].concat()).to_vec()
}

#[test]
fn a_public_key_is_no_secret() {
    for (name, key) in KEYS.iter() {
        let jwk = key.jwk(name);
        let texts = ["n", "x"].iter().filter_map(|part| jwk[part].as_str());
        let secrets = texts.flat_map(|text| {
            [text.as_bytes().to_vec(), URL_SAFE_NO_PAD.decode(text).expect("base64")]
        });
        for secret in secrets.chain([jwk.to_string().into_bytes(), Vec::new()]) {
            for alg in ["HS256", key.algorithm()] {
                let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
                let header = part(json!({ "alg": alg, "kid": name }));
                let signed = format!("{header}.{}", part(payload()));
                let signature = URL_SAFE_NO_PAD.encode(hmac(&secret, signed.as_bytes()));
                assert_eq!(check(&format!("{signed}.{signature}")), INVALID, "{name} {alg}");
            }
        }
    }
}

#[test]
fn an_unsigned_token_is_invalid_whatever_its_header_says() {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    for (name, key) in KEYS.iter() {
        for alg in ["none", "None", "NONE", "", "HS256", key.algorithm()] {
            for header in [json!({ "alg": alg }), json!({ "alg": alg, "kid": name })] {
                for signature in ["", "AAAA", &"A".repeat(86), &"A".repeat(342)] {
                    let token = format!("{}.{}.{signature}", part(&header), part(&payload()));
                    assert_eq!(check(&token), INVALID, "{name} {header} {signature}");
                }
            }
        }
    }
}

#[test]
fn a_header_that_is_not_an_access_tokens_is_refused() {
    let (name, key) = &KEYS[2];
    for (header, is_good) in [
        (json!({ "alg": "EdDSA", "kid": name }), true),
        (json!({ "alg": "EdDSA", "kid": name, "typ": "JWT" }), true),
        (json!({ "alg": "EdDSA", "kid": name, "typ": "AT+JWT" }), true),
        (json!({ "alg": "EdDSA", "kid": name, "typ": "dpop+jwt" }), false),
        (json!({ "alg": "EdDSA", "kid": name, "typ": "logout+jwt" }), false),
        (json!({ "alg": "EdDSA", "kid": name, "typ": "" }), false),
        (json!({ "alg": "EdDSA", "kid": name, "typ": 5 }), false),
        (json!({ "alg": "EdDSA", "kid": name, "crit": ["b64"], "b64": false }), false),
        (json!({ "alg": ["EdDSA"], "kid": name }), false),
        (json!({ "kid": name }), false),
    ] {
        assert_eq!(check(&key.token(&header, &payload())).is_ok(), is_good, "{header}");
    }
}

#[test]
fn a_key_that_the_token_brings_along_is_not_looked_at() {
    let stranger = eddsa(9);
    let mut header = stranger.header("ed");
    header["jwk"] = stranger.jwk("ed");
    header["jku"] = json!("http://stranger/keys");
    assert_eq!(check(&stranger.token(&header, &payload())), INVALID);
}

#[test]
fn a_token_that_is_too_long_is_not_looked_at() {
    let (name, key) = &KEYS[2];
    let padded = |bytes: usize| {
        let payload = payload_with(&json!({ "more": "x".repeat(bytes) }));
        key.token(&key.header(name), &payload)
    };
    assert!(check(&padded(4_000)).is_ok());
    let long = padded(MAX_TOKEN_BYTES);
    assert_eq!((check(&long), claimed_issuer(&long)), (INVALID, None));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]
    #[test]
    fn any_changed_character_invalidates(which in 0_usize..3, position in 0_usize..2_000, to in "[ -~]") {
        let (name, key) = &KEYS[which];
        let token = key.good(name);
        let position = position % token.len();
        let mut changed = token.clone();
        changed.replace_range(position..=position, &to);
        prop_assume!(changed != token);
        prop_assert!(is_refused(&changed), "{}", changed);
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,300}", parts in "[A-Za-z0-9_-]{0,80}\\.[A-Za-z0-9_-]{0,80}\\.[A-Za-z0-9_-]{0,80}") {
        for text in [text, parts] {
            prop_assert!(is_refused(&text));
            let _ = claimed_issuer(&text);
        }
    }

    #[test]
    fn no_key_set_makes_it_panic(text in "\\PC{0,300}", kty in "RSA|EC|OKP|oct", crv in "P-256|Ed25519|X", x in "[A-Za-z0-9_-]{0,90}") {
        let _ = key_set::read(text.as_bytes());
        let jwk = json!({ "kty": kty, "crv": crv, "x": x, "y": x, "n": x, "e": x });
        prop_assert!(set_of(&[jwk]).len() <= 1);
    }
}
