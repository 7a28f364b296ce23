//! Which key a token means, and what becomes of a key that is taken out of the set.

use super::super::key_set::{KeySetError, MAX_KEYS};
use super::*;
use std::num::NonZeroU32;

fn jwk(name: &str, changes: &[(&str, Value)]) -> Value {
    let mut jwk = eddsa(1).jwk(name);
    for (member, value) in changes {
        jwk[member] = value.clone();
    }
    jwk
}

#[test]
fn what_is_for_others_in_a_set_is_passed_over() {
    let (_, rsa) = &KEYS[0];
    let mut small = rsa.jwk("small");
    small["n"] = json!(URL_SAFE_NO_PAD.encode([0xff; 255]));
    let mut off_curve = es256().jwk("off");
    off_curve["x"] = off_curve["y"].clone();
    let junk = [
        json!(null),
        json!(5),
        json!("text"),
        json!([]),
        json!({}),
        json!({ "kty": 5 }),
        json!({ "kty": "oct", "kid": "secret", "k": "AAAA" }),
        json!({ "kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA" }),
        json!({ "kty": "EC", "crv": "P-384", "x": "AAAA", "y": "AAAA" }),
        json!({ "kty": "RSA", "n": "!!", "e": "AQAB" }),
        small,
        off_curve,
        jwk("enc", &[("use", json!("enc"))]),
        jwk("ops", &[("key_ops", json!(["sign"]))]),
        jwk("alg", &[("alg", json!("ES256"))]),
        jwk("alg", &[("alg", json!("HS256"))]),
        jwk("curve", &[("crv", json!("X25519"))]),
        jwk("short", &[("x", json!("AAAA"))]),
        jwk("weak", &[("x", json!(URL_SAFE_NO_PAD.encode([0; 32])))]),
        jwk("good", &[]),
    ];
    let names: Vec<_> = set_of(&junk).into_iter().map(|key| key.name).collect();
    assert_eq!(names, [Some("good".to_owned())]);
}

#[test]
fn what_is_no_key_set_is_told_apart() {
    for text in ["", "{}", "[]", r#"{"keys":{}}"#, r#"{"keys":null}"#, "{\"keys\":["] {
        let refused = key_set::read(text.as_bytes());
        assert!(matches!(refused, Err(KeySetError::Malformed(_))), "{text}");
    }
    let many = json!({ "keys": vec![json!({}); MAX_KEYS + 1] }).to_string();
    assert!(matches!(key_set::read(many.as_bytes()), Err(KeySetError::TooMany(65))));
    assert!(set_of(&vec![json!({}); MAX_KEYS]).is_empty());
}

#[test]
fn a_name_that_two_keys_have_means_either() {
    let (one, two, other) = (eddsa(1), eddsa(2), es256());
    let keys = known(&[one.jwk("a"), two.jwk("a"), other.jwk("a"), one.jwk("a")]);
    for key in [&one, &two, &other] {
        assert!(open(&key.good("a"), NOW_MS, &demands(), &keys).is_ok());
    }
    assert_eq!(open(&eddsa(3).good("a"), NOW_MS, &demands(), &keys), INVALID);
}

#[test]
fn a_token_without_a_name_means_the_only_key_of_its_type() {
    let (ed, ec, more) = (eddsa(1), es256(), eddsa(2));
    let nameless = |key: &Signing| key.token(&json!({ "alg": key.algorithm() }), &payload());
    let keys = known(&[ed.jwk("a"), ec.jwk("b")]);
    for key in [&ed, &ec] {
        assert!(open(&nameless(key), NOW_MS, &demands(), &keys).is_ok());
    }
    let keys = known(&[ed.jwk("a"), ec.jwk("b"), more.jwk("c")]);
    assert_eq!(open(&nameless(&ed), NOW_MS, &demands(), &keys), INVALID);
    assert_eq!(open(&nameless(&KEYS[0].1), NOW_MS, &demands(), &keys), INVALID);
    // A key without a name is nobody's whose token has one.
    let mut jwk = ed.jwk("a");
    jwk.as_object_mut().unwrap().remove("kid");
    let keys = known(&[jwk]);
    assert!(open(&nameless(&ed), NOW_MS, &demands(), &keys).is_ok());
    let named = open(&ed.good("a"), NOW_MS, &demands(), &keys);
    assert_eq!(named, Err(Refusal::UnknownKey));
}

#[test]
fn a_new_key_is_asked_for_and_then_known() {
    let (old, new) = (eddsa(1), eddsa(2));
    let mut keys = known(&[old.jwk("old")]);
    let token = new.good("new");
    assert_eq!(open(&token, NOW_MS, &demands(), &keys), Err(Refusal::UnknownKey));
    assert!(keys.learn(set_of(&[old.jwk("old"), new.jwk("new")])));
    assert!(open(&token, NOW_MS, &demands(), &keys).is_ok());
    assert!(open(&old.good("old"), NOW_MS, &demands(), &keys).is_ok());
    assert!(!keys.learn(set_of(&[old.jwk("old"), new.jwk("new")])), "nothing is new");
    assert!(keys.learn(set_of(&[new.jwk("new")])));
    assert_eq!(open(&old.good("old"), NOW_MS, &demands(), &keys), Err(Refusal::UnknownKey));
}

#[test]
fn a_key_keeps_its_number_while_it_is_in_the_set_and_no_longer() {
    let (one, two) = (eddsa(1), eddsa(2));
    let mut keys = known(&[one.jwk("one")]);
    let signer = |keys: &KnownKeys, token: &str| -> NonZeroU32 {
        open(token, NOW_MS, &demands(), keys).unwrap().signer.unwrap()
    };
    let first = signer(&keys, &one.good("one"));
    keys.learn(set_of(&[two.jwk("two"), one.jwk("one")]));
    assert_eq!(signer(&keys, &one.good("one")), first);
    let second = signer(&keys, &two.good("two"));
    assert!(first != second && keys.has(first) && keys.has(second));
    keys.learn(set_of(&[two.jwk("two")]));
    assert!(!keys.has(first) && keys.has(second));
    // Another key of the same name, and the old one again: neither is the one that was taken out.
    keys.learn(set_of(&[two.jwk("two"), eddsa(3).jwk("one")]));
    assert!(!keys.has(first));
    keys.learn(set_of(&[one.jwk("one")]));
    assert!(!keys.has(first) && !keys.has(second));
}
