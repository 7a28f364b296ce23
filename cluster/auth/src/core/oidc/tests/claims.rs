//! What a token with a good signature must say, and what is made of it.

use super::*;
use ports::Scopes;
use protocol::UserId;

/// As the issuer's Ed25519 key signs it.
fn said_at(changes: &Value, now_ms: u64) -> Result<Claims, Refusal> {
    let (name, key) = &KEYS[2];
    let token = key.token(&key.header(name), &payload_with(changes));
    open(&token, now_ms, &demands(), &all())
}

fn said(changes: &Value) -> Result<Claims, Refusal> {
    said_at(changes, NOW_MS)
}

#[test]
fn a_good_token_of_every_algorithm_says_what_was_put_in() {
    for (name, key) in KEYS.iter() {
        let claims = check(&key.good(name)).unwrap_or_else(|why| panic!("{name}: {why:?}"));
        assert_eq!(claims.user, Some(UserId(7)), "{name}");
        assert_eq!(claims.scopes, Scopes::of(["chat", "admin"]));
        assert_eq!(
            (claims.expires_ms, claims.login, claims.revocation_epoch),
            (1_000_000, None, 0)
        );
        assert!(claims.signer.is_some());
    }
}

#[test]
fn a_token_of_or_for_somebody_else_is_invalid() {
    for changes in [
        json!({ "iss": "http://issuer:9000/" }),
        json!({ "iss": "http://other" }),
        json!({ "iss": null }),
        json!({ "iss": [ISSUER] }),
        json!({ "aud": "https://chat.example/" }),
        json!({ "aud": ["one", "two"] }),
        json!({ "aud": [] }),
        json!({ "aud": { "a": AUDIENCE } }),
        json!({ "aud": null }),
    ] {
        assert_eq!(said(&changes), INVALID, "{changes}");
    }
    assert!(said(&json!({ "aud": ["other", AUDIENCE] })).is_ok());
}

#[test]
fn a_token_must_run_out_and_counts_until_then_to_the_millisecond() {
    let expired = Err(Refusal::Final(TokenError::Expired));
    assert!(said_at(&json!({}), 999_999).is_ok());
    assert_eq!(said_at(&json!({}), 1_000_000), expired);
    assert_eq!(said(&json!({ "exp": 0 })), expired);
    assert_eq!(said(&json!({ "exp": -5 })), expired);
    for exp in [json!(null), json!("1000"), json!([1_000])] {
        assert_eq!(said(&json!({ "exp": exp })), INVALID, "{exp}");
    }
    assert_eq!(said(&json!({ "exp": 1_000.25 })).unwrap().expires_ms, 1_000_250);
    assert_eq!(said(&json!({ "exp": u64::MAX })).unwrap().expires_ms, u64::MAX);
    assert_eq!(said(&json!({ "exp": 1e300 })).unwrap().expires_ms, u64::MAX);
}

#[test]
fn the_clock_of_the_issuer_may_be_a_minute_ahead() {
    for claim in ["nbf", "iat"] {
        assert!(said(&json!({ claim: 1_010, "exp": 2_000 })).is_ok(), "{claim}");
        assert_eq!(said(&json!({ claim: 1_011, "exp": 2_000 })), INVALID, "{claim}");
        assert_eq!(said(&json!({ claim: "900" })), INVALID, "{claim}");
        assert!(said(&json!({ claim: null })).is_ok(), "{claim}");
    }
}

#[test]
fn only_our_users_are_let_in() {
    for (sub, user) in [
        (json!("user-7"), Some(7)),
        (json!("7"), Some(7)),
        (json!(7), Some(7)),
        (json!("user-9223372036854775807"), Some(9_223_372_036_854_775_807)),
        (json!("user-9223372036854775808"), None),
        (json!(9_223_372_036_854_775_808_u64), None),
        (json!("user-0"), None),
        (json!(0), None),
        (json!(-1), None),
        (json!(7.5), None),
        (json!("user-07"), None),
        (json!("+7"), None),
        (json!("user-"), None),
        (json!("user-7 "), None),
        (json!("service"), None),
        (json!(["user-7"]), None),
        (json!(null), None),
    ] {
        let found = said(&json!({ "sub": sub }));
        match user {
            Some(number) => assert_eq!(found.unwrap().user, Some(UserId(number)), "{sub}"),
            None => assert_eq!(found, INVALID, "{sub}"),
        }
    }
}

#[test]
fn another_claim_may_name_the_user() {
    let (name, key) = &KEYS[2];
    let changes = json!({ "sub": "4f1c", "chat_user": 9 });
    let token = key.token(&key.header(name), &payload_with(&changes));
    let by_claim = Demands { user_claim: "chat_user".into(), ..demands() };
    assert_eq!(open(&token, NOW_MS, &by_claim, &all()).unwrap().user, Some(UserId(9)));
    assert_eq!(check(&token), INVALID);
}

#[test]
fn scopes_are_words_in_one_text_or_a_list() {
    for (changes, expected) in [
        (json!({ "scope": "chat" }), Scopes::of(["chat"])),
        (json!({ "scope": null, "scp": "a chat" }), Scopes::of(["chat"])),
        (json!({ "scope": null, "scp": ["a", "chat"] }), Scopes::of(["chat"])),
        (json!({ "scope": "", "scp": "chat" }), Scopes::default()),
        (json!({ "scope": null }), Scopes::default()),
        (json!({ "scope": 5 }), Scopes::default()),
        (json!({ "scope": "chats xchat CHAT" }), Scopes::default()),
    ] {
        assert_eq!(said(&changes).unwrap().scopes, expected, "{changes}");
    }
}
