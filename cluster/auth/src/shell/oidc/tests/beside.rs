//! Two issuers beside each other: each judges its own tokens, and no others.

use super::super::both::BothVerifiers;
use super::*;
use crate::core::answers::{RevocationPage, UserRevocation};
use crate::core::key::{JwkSet, KeyPair};
use crate::core::token::{self, Payload};
use crate::shell::remote_verifier::RemoteVerifier;
use axum::Json;
use protocol::UserId;
use protocol::design::Signatures;

const OWN: &str = "http://gateway:80";

fn own_key() -> KeyPair {
    KeyPair::from_seed(&[7; 32])
}

/// Our own issuer, which has revoked what user 7 had before epoch 5.
async fn start_own(memory: &Memory) -> ShutdownTrigger {
    let machine = memory.machine("auth-1");
    let listener = machine.network.bind("auth:80").await.unwrap();
    let (trigger, shutdown) = Shutdown::new();
    let page = RevocationPage {
        issuer: OWN.into(),
        key: own_key().public().kid.clone(),
        history: Some("history".into()),
        revocations: vec![UserRevocation { user: UserId(7), epoch: 5 }],
        logins: Vec::new(),
        next: 1,
        more: false,
    };
    let page = async move || Json(page.clone());
    let keys = async || Json(JwkSet { keys: vec![own_key().public().clone()] });
    let router =
        Router::new().route("/oauth2/revocations", get(page)).route("/oauth2/jwks", get(keys));
    let serving = machine.clone();
    machine.spawn("auth", async move {
        serve_http(&serving, listener, router, HttpOptions::default(), shutdown).await.unwrap();
    });
    trigger
}

fn both(memory: &Memory) -> BothVerifiers {
    let machine = memory.machine("gateway-1");
    let own = RemoteVerifier::start(
        machine,
        "auth:80".into(),
        Duration::from_secs(1),
        Signatures::Checked,
    );
    BothVerifiers::new(own, verifier(memory))
}

fn own_token(issuer: &str, user: u64, rev: u64) -> String {
    let payload = Payload {
        iss: issuer.into(),
        aud: token::AUDIENCE.into(),
        sub: format!("user-{user}"),
        client_id: "c".into(),
        exp: fakes::START_MS / 1_000 + 3_600,
        iat: 0,
        jti: "j".into(),
        scope: "chat".into(),
        uid: Some(user),
        sid: None,
        rev,
    };
    token::issue(&payload, &own_key())
}

#[tokio::test(start_paused = true)]
async fn a_gateway_is_ready_when_both_can_be_judged() {
    const NOT_READY: Result<(), TokenError> = Err(TokenError::NotReady);
    const INVALID: Result<(), TokenError> = Err(TokenError::Invalid);
    let memory = Memory::default();
    let key = eddsa(1);
    let both = both(&memory);
    let (own, outside) = (own_token(OWN, 8, 0), token(&key, "a"));
    let states =
        |both: &BothVerifiers| ["", &own, &outside].map(|token| judged(both, &memory, token));
    seconds(5).await;
    assert_eq!(states(&both), [NOT_READY; 3]);
    let _own = start_own(&memory).await;
    seconds(5).await;
    // Who has a token of the one does not wait for the other.
    assert_eq!(states(&both), [NOT_READY, Ok(()), NOT_READY]);
    let _outside = Outside::with_keys(&[key.jwk("a")]).start(&memory).await;
    seconds(5).await;
    assert_eq!(states(&both), [INVALID, Ok(()), Ok(())]);
}

#[tokio::test(start_paused = true)]
async fn neither_speaks_for_the_other() {
    let memory = Memory::default();
    let key = eddsa(1);
    let _own = start_own(&memory).await;
    let _outside = Outside::with_keys(&[key.jwk("a")]).start(&memory).await;
    let both = both(&memory);
    seconds(5).await;
    let as_ours =
        json!({ "iss": OWN, "aud": token::AUDIENCE, "exp": u64::MAX, "uid": 8, "rev": 9 });
    for forged in [
        // Our key signs for the issuer outside, and the other way round.
        own_token(ISSUER, 8, 9),
        key.token(&key.header("a"), &payload_with(&as_ours)),
        key.token(&key.header(&own_key().public().kid), &payload_with(&as_ours)),
        own_token("http://nobody", 8, 9),
    ] {
        assert_eq!(judged(&both, &memory, &forged), Err(TokenError::Invalid), "{forged}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_revocation_of_ours_says_nothing_of_a_token_from_outside() {
    let memory = Memory::default();
    let key = eddsa(1);
    let _own = start_own(&memory).await;
    let outside = Outside::with_keys(&[key.jwk("a")]);
    let _outside = outside.start(&memory).await;
    let both = both(&memory);
    seconds(5).await;
    let now = fakes::START_MS;
    assert_eq!(judged(&both, &memory, &own_token(OWN, 7, 4)), Err(TokenError::Revoked));
    let from_outside = both.verify(&token(&key, "a"), now).unwrap();
    let own = both.verify(&own_token(OWN, 7, 5), now).unwrap();
    assert_eq!((from_outside.user, own.user), (Some(UserId(7)), Some(UserId(7))));
    assert_eq!(both.still_valid(&from_outside, now), Ok(()));
    // And a key that was taken out nothing of ours.
    let revision = both.revision();
    outside.publish(&[]);
    seconds(REFRESH.as_secs()).await;
    assert!(both.revision() > revision);
    assert_eq!(both.still_valid(&from_outside, now), Err(TokenError::Revoked));
    assert_eq!(both.still_valid(&own, now), Ok(()));
}
