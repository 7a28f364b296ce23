//! Claims about a verifier beside a service.

use super::*;
use crate::core::token::claimed_key;
use std::collections::BTreeSet;

#[tokio::test(start_paused = true)]
async fn a_verifier_learns_keys_and_revocations_and_outlives_the_service() {
    let memory = Memory::default();
    let client = memory.machine("gateway-1");
    let verifier = verifier(&client);
    sleep(POLL).await;
    assert_eq!(verifier.verify("rubbish", 0), Err(TokenError::NotReady));
    assert!(!verifier.is_ready());

    let trigger = start(&memory).await;
    let token = login(&client, 7).await.access_token;
    let other = login(&client, 8).await.access_token;
    sleep(POLL).await;
    let now = client.clock.now_ms();
    let claims = verifier.verify(&token, now).unwrap();
    assert_eq!(claims.user, Some(UserId(7)));

    let left = login(&client, 8).await;
    let left_claims = verifier.verify(&left.access_token, now).unwrap();

    revoke_user(&client, 7).await;
    let logout = format!("token={}", left.refresh_token.unwrap());
    for said in [None, Some("nothing")] {
        let answer = send(&client, post("/oauth2/revoke", &logout)).await;
        assert_eq!(answer.status(), 200);
        let told = answer.headers().get("fracas-revoked").map(|value| value.to_str().unwrap());
        assert_eq!(told, said, "the gateway counts the second one as a failure");
    }
    sleep(POLL + Duration::from_millis(10)).await;
    assert_eq!(verifier.verify(&left.access_token, now), Err(TokenError::Revoked));
    assert_eq!(verifier.still_valid(&left_claims, now), Err(TokenError::Revoked));
    assert_eq!(verifier.verify(&token, now), Err(TokenError::Revoked));
    assert_eq!(verifier.still_valid(&claims, now), Err(TokenError::Revoked));

    trigger.request();
    memory.network.close(AT);
    sleep(POLL * 10).await;
    assert_eq!(memory.telemetry.counted("ended_well"), 1);
    assert_eq!(verifier.verify(&other, now).unwrap().user, Some(UserId(8)));
    assert_eq!(verifier.verify(&token, now), Err(TokenError::Revoked));
}

#[tokio::test(start_paused = true)]
async fn a_verifier_honours_the_tokens_of_both_keys_at_every_moment_of_a_rotation() {
    let memory = Memory::default();
    let client = memory.machine("gateway-1");
    let _trigger = start(&memory).await;
    let verifier = verifier(&client);
    let old = login(&client, 7).await.access_token;
    let form = "grant_type=client_credentials&client_id=ops&client_secret=s3";
    let admin = tokens(&client, form).await.access_token;
    let mut request = post("/oauth2/keys/rotate", "");
    bear(&mut request, &admin);
    assert_eq!(send(&client, request).await.status(), 200);
    let mut signed_with = BTreeSet::new();
    for _ in 0..20 {
        sleep(Duration::from_secs(1)).await;
        let (now, new) = (client.clock.now_ms(), login(&client, 8).await.access_token);
        signed_with.insert(claimed_key(&new).unwrap());
        assert!(verifier.verify(&new, now).is_ok() && verifier.verify(&old, now).is_ok());
    }
    assert_eq!(signed_with.len(), 2);
}
