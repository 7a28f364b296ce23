//! What somebody who guesses passwords gets, and what becomes of the user meanwhile.

use super::*;

#[test]
fn whoever_guesses_is_slowed_down_and_whoever_knows_is_not() {
    let mut issuer = issuer();
    let mut ask = |user: &str, password: &str, now: u64| {
        let (response, _) = issuer.grant(&login(user, password, None), now, &random(now));
        response.map(|_| ()).map_err(|error| (error.error, error.retry_after_s))
    };
    let limits = AuthLimits::default();
    for n in 0..u64::from(limits.grants_burst) {
        assert_eq!(ask("1", "secret", NOW + n), Ok(()), "a storm of its devices");
    }
    assert_eq!(ask("1", "secret", NOW), Err((ErrorCode::SlowDown, Some(1))));
    assert_eq!(ask("1", "secret", NOW + 1_000), Ok(()));
    let wrong = Err((ErrorCode::InvalidGrant, None));
    for _ in 0..limits.failed_logins_burst {
        assert_eq!(ask("2", "guessed", NOW), wrong);
    }
    let wait_s = 60 / u64::from(limits.failed_logins_per_minute);
    let slow = Err((ErrorCode::SlowDown, Some(wait_s)));
    assert_eq!(ask("2", "secret", NOW), slow, "nor is the right one told");
    assert_eq!(ask("user-2", "guessed", NOW), slow, "by whatever name");
    assert_eq!(ask("3", "secret", NOW), Ok(()), "others are not harmed");
    assert_eq!(ask("2", "secret", NOW + wait_s * 1_000), Ok(()));
    assert_eq!(ask("nobody", "guessed", NOW), wrong);
}

/// What a request is refused with.
fn refusal(issuer: &mut Issuer, asked: &TokenRequest, now_ms: u64, n: u64) -> ErrorCode {
    issuer.grant(asked, now_ms, &random(n)).0.unwrap_err().error
}

#[test]
fn whoever_is_logged_in_stays_so_while_others_guess() {
    let (mut issuer, limits) = (issuer(), AuthLimits::default());
    let (right, guess) = (login("2", "secret", None), login("2", "guessed", None));
    let mut token = shown(issuer.grant(&right, NOW, &random(0)).0.unwrap().refresh_token);
    for n in 1..=limits.failed_logins_burst.into() {
        assert_eq!(refusal(&mut issuer, &guess, NOW, n), ErrorCode::InvalidGrant);
    }
    for n in 101..105 {
        assert_eq!(refusal(&mut issuer, &right, NOW, n), ErrorCode::SlowDown);
        let refreshed = issuer.grant(&refresh(&token), NOW, &random(n)).0;
        token = shown(refreshed.unwrap().refresh_token);
    }
    // Nor does a bad token count as a guess: the next one may come when it might have come without it.
    let (family, secret) = (FamilyId(random(0).family), Secret::new([9; 16]));
    let spent = refresh(&shown(Some(RefreshToken { family, secret }.to_text())));
    assert_eq!(refusal(&mut issuer, &spent, NOW, 105), ErrorCode::InvalidGrant);
    let after = NOW + 60_000 / u64::from(limits.failed_logins_per_minute);
    assert_eq!(refusal(&mut issuer, &right, after - 1, 106), ErrorCode::SlowDown);
    assert!(issuer.grant(&right, after, &random(107)).0.is_ok());
}
