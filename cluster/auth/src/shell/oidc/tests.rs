//! An issuer over a network in memory: its keys, its rotation, its absence, and our own issuer beside it.

mod beside;

use super::*;
use crate::core::oidc::tests::{AUDIENCE, ISSUER, Signing, eddsa, payload_with};
use axum::Router;
use axum::routing::get;
use fakes::Memory;
use link::http_server::{HttpOptions, serve_http};
use ports::{Shutdown, ShutdownTrigger};
use serde_json::{Value, json};
use std::sync::Mutex;
use tokio::time::sleep;

const REFRESH: Duration = Duration::from_mins(5);

/// What an issuer answers with, and how often it was asked.
#[derive(Default)]
struct Answers {
    discovery: String,
    keys: String,
    asked: u64,
}

/// An issuer, which the tests change while it runs.
#[derive(Clone, Default)]
struct Outside(Arc<Mutex<Answers>>);

impl Outside {
    fn with_keys(keys: &[Value]) -> Self {
        let outside = Self::default();
        outside.describe(&json!({ "issuer": ISSUER, "jwks_uri": format!("{ISSUER}/keys") }));
        outside.publish(keys);
        outside
    }

    fn describe(&self, document: &Value) {
        entered(self.0.lock()).discovery = document.to_string();
    }

    fn publish(&self, keys: &[Value]) {
        entered(self.0.lock()).keys = json!({ "keys": keys }).to_string();
    }

    /// How often its keys were fetched.
    fn asked(&self) -> u64 {
        entered(self.0.lock()).asked
    }

    async fn start(&self, memory: &Memory) -> ShutdownTrigger {
        let machine = memory.machine("issuer");
        let listener = machine.network.bind("issuer:9000").await.unwrap();
        let (trigger, shutdown) = Shutdown::new();
        let (described, keys) = (self.0.clone(), self.0.clone());
        let document = async move || entered(described.lock()).discovery.clone();
        let set = async move || {
            let mut answers = entered(keys.lock());
            answers.asked += 1;
            answers.keys.clone()
        };
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(document))
            .route("/keys", get(set));
        let serving = machine.clone();
        machine.spawn("issuer", async move {
            let options = HttpOptions { drain: Duration::ZERO, ..HttpOptions::default() };
            serve_http(&serving, listener, router, options, shutdown).await.unwrap();
        });
        trigger
    }
}

fn verifier(memory: &Memory) -> Arc<OidcVerifier> {
    let machine = memory.machine("gateway-1");
    let config = OidcConfig {
        issuer: ISSUER.into(),
        audience: AUDIENCE.into(),
        user_claim: "sub".into(),
        refresh: REFRESH,
    };
    let network = machine.network.clone();
    OidcVerifier::start(machine, network, config)
}

/// A token that lives for an hour from the start of the test.
fn token(key: &Signing, name: &str) -> String {
    let now = fakes::START_MS / 1_000;
    let dates = json!({ "iat": now, "nbf": now, "exp": now + 3_600 });
    key.token(&key.header(name), &payload_with(&dates))
}

async fn seconds(count: u64) {
    sleep(Duration::from_secs(count)).await;
}

/// Whether a token is honoured now.
fn judged(verifier: &dyn TokenVerifier, memory: &Memory, token: &str) -> Result<(), TokenError> {
    verifier.verify(token, memory.machine("clock").clock.now_ms()).map(|_| ())
}

#[tokio::test(start_paused = true)]
async fn nothing_is_judged_before_keys_are_known_and_then_at_once() {
    let memory = Memory::default();
    let (key, now) = (eddsa(1), fakes::START_MS);
    let verifier = verifier(&memory);
    let token = token(&key, "a");
    seconds(60).await;
    assert_eq!(verifier.verify(&token, now), Err(TokenError::NotReady));
    assert!(memory.telemetry.counted("auth_issuer_fetches_failed_total") >= 50);
    let _trigger = Outside::with_keys(&[key.jwk("a")]).start(&memory).await;
    seconds(2).await;
    assert!(verifier.verify(&token, now).is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_says_it_is_another_is_not_believed() {
    let memory = Memory::default();
    let key = eddsa(1);
    let outside = Outside::with_keys(&[key.jwk("a")]);
    let keys_at = format!("{ISSUER}/keys");
    outside.describe(&json!({ "issuer": format!("{ISSUER}/"), "jwks_uri": keys_at }));
    let _trigger = outside.start(&memory).await;
    let verifier = verifier(&memory);
    seconds(30).await;
    assert_eq!(judged(&*verifier, &memory, &token(&key, "a")), Err(TokenError::NotReady));
    assert_eq!(outside.asked(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_new_key_is_fetched_as_soon_as_a_token_names_it() {
    let memory = Memory::default();
    let (old, new) = (eddsa(1), eddsa(2));
    let outside = Outside::with_keys(&[old.jwk("old")]);
    let _trigger = outside.start(&memory).await;
    let verifier = verifier(&memory);
    seconds(30).await;
    assert_eq!(outside.asked(), 1);
    outside.publish(&[old.jwk("old"), new.jwk("new")]);
    let revision = verifier.revision();
    assert_eq!(judged(&*verifier, &memory, &token(&new, "new")), Err(TokenError::Invalid));
    seconds(1).await;
    assert_eq!(judged(&*verifier, &memory, &token(&new, "new")), Ok(()));
    assert_eq!(judged(&*verifier, &memory, &token(&old, "old")), Ok(()));
    assert_eq!((outside.asked(), verifier.revision()), (2, revision + 1));
}

#[tokio::test(start_paused = true)]
async fn names_that_are_made_up_cost_the_issuer_one_fetch_in_ten_seconds() {
    let memory = Memory::default();
    let key = eddsa(1);
    let outside = Outside::with_keys(&[key.jwk("a")]);
    let _trigger = outside.start(&memory).await;
    let verifier = verifier(&memory);
    seconds(5).await;
    for second in 0..100 {
        let made_up = token(&key, &format!("made-up-{second}"));
        assert_eq!(judged(&*verifier, &memory, &made_up), Err(TokenError::Invalid));
        seconds(1).await;
    }
    assert!((9..=12).contains(&outside.asked()), "{}", outside.asked());
    // What is signed badly, or by nobody, costs nothing.
    let asked = outside.asked();
    seconds(20).await;
    let forged = eddsa(9);
    for _ in 0..20 {
        assert_eq!(judged(&*verifier, &memory, &token(&forged, "a")), Err(TokenError::Invalid));
        seconds(1).await;
    }
    assert!(outside.asked() <= asked + 1);
}

#[tokio::test(start_paused = true)]
async fn keys_stay_known_while_the_issuer_is_away() {
    let memory = Memory::default();
    let key = eddsa(1);
    let outside = Outside::with_keys(&[key.jwk("a")]);
    let trigger = outside.start(&memory).await;
    let verifier = verifier(&memory);
    seconds(5).await;
    trigger.request();
    seconds(1_000).await;
    assert_eq!(judged(&*verifier, &memory, &token(&key, "a")), Ok(()));
    assert!(memory.telemetry.counted("auth_issuer_fetches_failed_total") > 10);
    // It is asked again soon after it is back.
    outside.publish(&[key.jwk("b")]);
    let _trigger = outside.start(&memory).await;
    seconds(11).await;
    assert_eq!(judged(&*verifier, &memory, &token(&key, "b")), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_taken_out_ends_what_it_has_signed() {
    let memory = Memory::default();
    let (one, two) = (eddsa(1), eddsa(2));
    let outside = Outside::with_keys(&[one.jwk("one"), two.jwk("two")]);
    let _trigger = outside.start(&memory).await;
    let verifier = verifier(&memory);
    seconds(5).await;
    let now = fakes::START_MS;
    let claims =
        [(&one, "one"), (&two, "two")].map(|(k, n)| verifier.verify(&token(k, n), now).unwrap());
    assert_eq!(claims.map(|claims| verifier.still_valid(&claims, now)), [Ok(()), Ok(())]);
    let revision = verifier.revision();
    outside.publish(&[two.jwk("two")]);
    seconds(REFRESH.as_secs()).await;
    assert!(verifier.revision() > revision, "sessions are looked at again");
    let valid = claims.map(|claims| verifier.still_valid(&claims, now));
    assert_eq!(valid, [Err(TokenError::Revoked), Ok(())]);
    let later = claims[1].expires_ms;
    assert_eq!(verifier.still_valid(&claims[1], later), Err(TokenError::Expired));
    // A set of no keys is an answer, too.
    outside.publish(&[]);
    seconds(REFRESH.as_secs()).await;
    assert_eq!(verifier.still_valid(&claims[1], now), Err(TokenError::Revoked));
    assert_eq!(judged(&*verifier, &memory, &token(&two, "two")), Err(TokenError::Invalid));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_no_key_set_changes_nothing() {
    let memory = Memory::default();
    let key = eddsa(1);
    let outside = Outside::with_keys(&[key.jwk("a")]);
    let _trigger = outside.start(&memory).await;
    let verifier = verifier(&memory);
    seconds(5).await;
    let long = format!("{{\"keys\":[\"{}\"]}}", "x".repeat(300_000));
    for junk in ["", "<html>", "{\"keys\":5}", &long] {
        entered(outside.0.lock()).keys = junk.to_owned();
        seconds(REFRESH.as_secs()).await;
        assert_eq!(judged(&*verifier, &memory, &token(&key, "a")), Ok(()), "{junk:.20}");
    }
}
