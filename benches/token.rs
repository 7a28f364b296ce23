//! What a gateway pays for a token: its signature once per session, its expiry and revocation again
//! and again.

use auth::core::answers::{RevocationPage, UserRevocation};
use auth::core::key::{JwkSet, KeyPair};
use auth::core::keyring::{Keyring, Learned};
use auth::core::token::{AUDIENCE, Payload, issue};
use benches::cpu_time;
use criterion::Throughput;
use protocol::UserId;
use std::hint::black_box;

const ISSUER: &str = "https://auth.example";
/// Users whose tokens were revoked once: every verification looks for its user among them.
const REVOKED: u64 = 10_000;

fn main() {
    let mut criterion = cpu_time::criterion();
    let key = KeyPair::from_seed(&[7; 32]);
    let keyring = keyring(&key);
    let token = token(&key);
    let claims = keyring.verify(&token, 0).expect("the token is good");
    let mut group = criterion.benchmark_group("token");
    group.throughput(Throughput::Elements(1));
    group.bench_function("verify", |bencher| {
        bencher.iter(|| keyring.verify(black_box(&token), black_box(0)));
    });
    group.bench_function("still valid", |bencher| {
        bencher.iter(|| keyring.still_valid(black_box(&claims), black_box(0)));
    });
    group.finish();
    criterion.final_summary();
}

fn keyring(key: &KeyPair) -> Keyring {
    let page = RevocationPage {
        issuer: ISSUER.to_owned(),
        key: key.public().kid.clone(),
        history: None,
        revocations: (1..=REVOKED)
            .map(|user| UserRevocation { user: UserId(user), epoch: 1 })
            .collect(),
        logins: Vec::new(),
        next: REVOKED,
        more: false,
    };
    let mut keyring = Keyring::default();
    // The first page only names the key; it is read again when the key is known.
    assert_eq!(keyring.learn_revocations(&page, 0), Learned::KeysMissing);
    keyring.learn_keys(&JwkSet { keys: vec![key.public().clone()] });
    assert_eq!(keyring.learn_revocations(&page, 0), Learned::Everything);
    keyring
}

fn token(key: &KeyPair) -> String {
    let payload = Payload {
        iss: ISSUER.to_owned(),
        aud: AUDIENCE.to_owned(),
        sub: "user-4711".to_owned(),
        client_id: "fracas".to_owned(),
        exp: 3_600,
        iat: 0,
        jti: "0123456789abcdef".to_owned(),
        sid: None,
        scope: "chat".to_owned(),
        uid: Some(4_711),
        rev: 1,
    };
    issue(&payload, key)
}
