//! The issuer's decisions, by tables and against a simple model of refresh families.

mod guessing;

use super::*;
use crate::core::answers::UserRevocation;
use crate::core::request::RevocationRequest;
use crate::core::settings::DevelopmentUsers;
use proptest::prelude::*;
use protocol::limits::AuthLimits;
use std::collections::BTreeMap;
use std::time::Duration;

const NOW: u64 = 1_000_000;

fn settings() -> Settings {
    Settings {
        issuer: "https://auth".into(),
        development_users: Some(DevelopmentUsers { count: 9, password: "secret".into() }),
        services: vec![ServiceClient {
            id: "ops".into(),
            secret: "s3".into(),
            scopes: vec!["admin".into(), "audit".into()],
        }],
        access_token_lifetime: Duration::from_mins(1),
        refresh_token_lifetime: Duration::from_mins(10),
        limits: AuthLimits::default(),
    }
}

fn issuer() -> Issuer {
    Issuer::new(settings(), State::new([3; 32]))
}

fn random(n: u64) -> Random {
    let bytes = u128::from(n + 1).to_le_bytes();
    Random { token_id: bytes, family: bytes, secret: Secret::new(bytes) }
}

/// The access token that was granted.
fn access(granted: Decision<Result<TokenResponse, OAuthError>>) -> String {
    granted.0.unwrap().access_token.expose().clone()
}

/// A token as its holder shows it.
fn shown(token: Option<Secret>) -> String {
    token.unwrap().expose().clone()
}

fn login(username: &str, password: &str, scope: Option<&str>) -> TokenRequest {
    TokenRequest {
        client: None,
        grant: Grant::Password { username: username.into(), password: password.into() },
        scopes: scope.map(|scope| vec![scope.into()]),
    }
}

fn refresh(token: &str) -> TokenRequest {
    let grant = Grant::RefreshToken { token: token.into() };
    TokenRequest { client: None, grant, scopes: None }
}

fn service(id: &str, secret: &str, scope: Option<&str>) -> TokenRequest {
    TokenRequest {
        client: Some(ClientSecret { id: id.into(), secret: secret.into() }),
        grant: Grant::ClientCredentials,
        scopes: scope.map(|scope| vec![scope.into()]),
    }
}

#[test]
fn requests_get_what_they_may_have() {
    let table = [
        (login("user-7", "secret", None), Ok("chat")),
        (login("7", "secret", Some("chat")), Ok("chat")),
        (login("7", "wrong", None), Err(ErrorCode::InvalidGrant)),
        (login("7", "", None), Err(ErrorCode::InvalidGrant)),
        (login("0", "secret", None), Err(ErrorCode::InvalidGrant)),
        (login("10", "secret", None), Err(ErrorCode::InvalidGrant)),
        (login("+7", "secret", None), Err(ErrorCode::InvalidGrant)),
        (login("07", "secret", None), Err(ErrorCode::InvalidGrant)),
        (login("user-", "secret", None), Err(ErrorCode::InvalidGrant)),
        (login("7", "secret", Some("admin")), Err(ErrorCode::InvalidScope)),
        (service("ops", "s3", None), Ok("admin audit")),
        (service("ops", "s3", Some("audit")), Ok("audit")),
        (service("ops", "s3", Some("chat")), Err(ErrorCode::InvalidScope)),
        (service("ops", "s4", None), Err(ErrorCode::InvalidClient)),
        (service("nobody", "", None), Err(ErrorCode::InvalidClient)),
        (TokenRequest { client: None, ..service("", "", None) }, Err(ErrorCode::InvalidClient)),
        (refresh("rubbish"), Err(ErrorCode::InvalidGrant)),
    ];
    for (request, expected) in table {
        let (response, records) = issuer().grant(&request, NOW, &random(0));
        assert_eq!(
            records.is_empty(),
            !matches!(request.grant, Grant::Password { .. }) || expected.is_err()
        );
        let scope = response.as_ref().map(|response| response.scope.as_str());
        assert_eq!(scope.map_err(|error| error.error), expected, "{request:?}");
    }
}

#[test]
fn only_users_get_refresh_tokens() {
    let user = issuer().grant(&login("7", "secret", None), NOW, &random(0)).0.unwrap();
    let service = issuer().grant(&service("ops", "s3", None), NOW, &random(0)).0.unwrap();
    assert!(user.refresh_token.is_some());
    assert_eq!(service.refresh_token, None);
    assert_eq!((user.expires_in, user.token_type.as_str()), (60, "Bearer"));
}

#[test]
fn without_development_users_there_is_no_password_grant() {
    let settings = Settings { development_users: None, ..settings() };
    let mut issuer = Issuer::new(settings, State::new([3; 32]));
    let (response, _) = issuer.grant(&login("7", "", None), NOW, &random(0));
    assert_eq!(response.unwrap_err().error, ErrorCode::UnsupportedGrantType);
}

#[test]
fn a_token_ends_with_its_lifetime_or_its_user() {
    let mut issuer = issuer();
    let token = access(issuer.grant(&login("7", "secret", None), NOW, &random(0)));
    assert_eq!(issuer.verify(&token, NOW).unwrap().user, Some(UserId(7)));
    assert_eq!(issuer.verify(&token, NOW + 60_000), Err(TokenError::Expired));
    assert_eq!(issuer.revoke_user(UserId(10)).0, None);
    assert_eq!(issuer.revoke_user(UserId(7)).0, Some(1));
    assert_eq!(issuer.verify(&token, NOW), Err(TokenError::Revoked));
    let again = access(issuer.grant(&login("7", "secret", None), NOW, &random(1)));
    assert_eq!(issuer.verify(&again, NOW).unwrap().revocation_epoch, 1);
}

#[test]
fn a_spent_refresh_token_ends_its_family() {
    let mut issuer = issuer();
    let first = issuer.grant(&login("7", "secret", None), NOW, &random(0)).0.unwrap();
    let first = shown(first.refresh_token);
    let second = shown(issuer.grant(&refresh(&first), NOW, &random(1)).0.unwrap().refresh_token);
    assert_ne!(first, second);
    let (reused, records) = issuer.grant(&refresh(&first), NOW, &random(2));
    assert_eq!(reused.unwrap_err().error, ErrorCode::InvalidGrant);
    assert!(matches!(records[..], [Record::LoginRevoked(..)]));
    let (innocent, _) = issuer.grant(&refresh(&second), NOW, &random(3));
    assert_eq!(innocent.unwrap_err().error, ErrorCode::InvalidGrant);
}

#[test]
fn whichever_token_is_revoked_its_login_is_over_and_no_other() {
    let revoke = |token: &str| RevocationRequest { client: None, token: token.into() };
    for by_access in [false, true] {
        let mut issuer = issuer();
        let tokens = issuer.grant(&login("7", "secret", None), NOW, &random(0)).0.unwrap();
        let other = issuer.grant(&login("7", "secret", None), NOW, &random(1)).0.unwrap();
        let (access, refreshing) =
            (tokens.access_token.expose().clone(), shown(tokens.refresh_token.clone()));
        let either = if by_access { &access } else { &refreshing };
        let (ended, records) = issuer.revoke(&revoke(either), NOW);
        assert_eq!((ended, records.len()), (Ok(true), 1));
        assert_eq!(issuer.revoke(&revoke(either), NOW), (Ok(false), vec![]), "it is over");
        assert_eq!(issuer.verify(&access, NOW), Err(TokenError::Revoked));
        assert!(issuer.grant(&refresh(&refreshing), NOW, &random(2)).0.is_err());
        assert!(issuer.verify(other.access_token.expose(), NOW).is_ok());
        assert!(
            issuer.grant(&refresh(&shown(other.refresh_token.clone())), NOW, &random(3)).0.is_ok()
        );
        let told = issuer.revocations(0);
        assert_eq!((told.logins.len(), told.revocations.len(), told.next), (1, 0, 1));
        // Its last token lives a minute, and clocks may be five apart.
        assert_eq!(told.logins[0].until_ms, NOW + 60_000 + 300_000);
    }
}

#[test]
fn a_service_is_not_logged_out_and_an_unknown_token_is_as_good_as_revoked() {
    let revoke = |token: &str| RevocationRequest { client: None, token: token.into() };
    let mut issuer = issuer();
    let token = access(issuer.grant(&service("ops", "s3", None), NOW, &random(0)));
    let (refused, _) = issuer.revoke(&revoke(&token), NOW);
    assert_eq!(refused.unwrap_err().error, ErrorCode::UnsupportedTokenType);
    let user = access(issuer.grant(&login("7", "secret", None), NOW, &random(1)));
    assert_eq!(issuer.revoke(&revoke(&user), NOW + 60_000), (Ok(false), vec![]), "it has run out");
    assert_eq!(issuer.revoke(&revoke("rubbish"), NOW), (Ok(false), vec![]));
}

#[test]
fn a_token_lives_longer_than_the_key_that_it_was_signed_with_is_used() {
    let mut issuer = issuer();
    let kids = |issuer: &Issuer, now| issuer.keys(now).keys.into_iter().map(|key| key.kid);
    let old = access(issuer.grant(&login("7", "secret", None), NOW, &random(0)));
    let first = kids(&issuer, NOW).next().unwrap();
    let (second, records) = issuer.rotate(NOW, [8; 32]);
    assert_eq!((records.len(), issuer.rotate(NOW, [9; 32])), (1, (second.clone(), vec![])));
    // Published at once, and used when every verifier knows it.
    assert_eq!(kids(&issuer, NOW).collect::<Vec<_>>(), [first.clone(), second.clone()]);
    assert_eq!(issuer.revocations(0).key, second);
    let kid = |token: &str| token::claimed_key(token).unwrap();
    let begins = NOW + PUBLISHED_BEFORE_MS;
    for (now, signs) in [(NOW + 1, &first), (begins - 1, &first), (begins, &second)] {
        let token = access(issuer.grant(&login("8", "secret", None), now, &random(now)));
        assert_eq!(&kid(&token), signs);
        assert!(issuer.verify(&token, now).is_ok());
    }
    assert!(issuer.verify(&old, NOW + 59_999).is_ok());
    // The last token of the first key lives a minute, and clocks may be five apart.
    let ends = begins + 360_000;
    assert_eq!(kids(&issuer, ends - 1).collect::<Vec<_>>(), [first, second.clone()]);
    assert!(kids(&issuer, ends).eq([second]));
    // All of it outlives a restart, and a compaction.
    let snapshot = issuer.snapshot(ends - 1);
    assert_eq!(snapshot.keys.len(), 2);
    assert_eq!(issuer.snapshot(ends).keys.len(), 1);
    let again = Issuer::new(settings(), State::from_snapshot(snapshot));
    assert_eq!(again.keys(ends - 1), issuer.keys(ends - 1));
    assert_eq!(again.revocations(0), issuer.revocations(0), "the history goes on");
}

#[test]
fn no_secret_is_shown() {
    let mut issuer = issuer();
    let asked = login("7", "secret", None);
    let drawn = Random { secret: Secret::new([9; 16]), ..random(0) };
    let (granted, records) = issuer.grant(&asked, NOW, &drawn);
    let granted = granted.unwrap();
    let refresh = shown(granted.refresh_token.clone());
    let tokens = [granted.access_token.expose().clone(), refresh.clone()];
    let seed = format!("{:?}", [3_u8; 32]);
    let part = format!("{:?}", drawn.secret.expose());
    let secrets = ["\"secret\"".to_owned(), "\"s3\"".to_owned(), seed, part];
    for shown in [
        format!("{:?}", settings()),
        format!("{asked:?} {:?}", self::refresh(&refresh)),
        format!("{granted:?} {drawn:?}"),
        format!("{:?} {records:?}", issuer.snapshot(0)),
        format!("{:?}", RefreshToken::from_text(&refresh)),
    ] {
        for secret in tokens.iter().chain(&secrets) {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
    // Whoever asked for them gets them.
    let answer = serde_json::to_string(&granted).unwrap();
    assert!(tokens.iter().all(|token| answer.contains(token)));
}

#[test]
fn revocations_are_told_in_pages() {
    let users = DevelopmentUsers { count: 5_000, password: "secret".into() };
    let settings = Settings { development_users: Some(users), ..settings() };
    let mut issuer = Issuer::new(settings, State::new([3; 32]));
    for user in (1..=1_500).chain([1]) {
        issuer.revoke_user(UserId(user));
    }
    let first = issuer.revocations(0);
    let second = issuer.revocations(first.next);
    assert_eq!(
        (first.revocations.len(), first.more),
        (AuthLimits::default().revocations_page, true)
    );
    assert_eq!((second.revocations.len(), second.more, second.next), (500, false, 1_501));
    assert_eq!(second.revocations.last(), Some(&UserRevocation { user: UserId(1), epoch: 2 }));
    // A verifier that is ahead (the issuer lost its disk) is brought back.
    assert_eq!(issuer.revocations(9_999).next, 1_501);
}

/// What may happen to refresh tokens.
#[derive(Clone, Debug)]
enum Step {
    Login(u64),
    /// Shows one of all tokens ever issued.
    Refresh(prop::sample::Index),
    RevokeUser(u64),
    RevokeToken(prop::sample::Index),
    Wait(u64),
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (1..4_u64).prop_map(Step::Login),
        6 => any::<prop::sample::Index>().prop_map(Step::Refresh),
        1 => (1..4_u64).prop_map(Step::RevokeUser),
        1 => any::<prop::sample::Index>().prop_map(Step::RevokeToken),
        1 => (0..400_000_u64).prop_map(Step::Wait),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 0..60)
}

/// Per family: the user, the newest token (an index into all), when it runs out.
type Model = BTreeMap<usize, (u64, usize, u64)>;

proptest! {
    /// A refresh token is honoured exactly if it is the newest of a living family, whatever was lost
    /// of the issuer's memory in between.
    #[test]
    fn only_the_newest_token_of_a_living_family_is_honoured(steps in steps()) {
        let mut issuer = issuer();
        let mut journal = vec![Record::Snapshot(issuer.snapshot(0))];
        let (mut now, mut tokens, mut model) = (NOW, Vec::<(usize, String)>::new(), Model::new());
        for (n, step) in steps.into_iter().enumerate() {
            match step {
                Step::Login(user) => {
                    let mut own: Vec<usize> = model.iter()
                        .filter(|(_, f)| f.0 == user && f.2 > now).map(|(id, _)| *id).collect();
                    own.truncate((own.len() + 1).saturating_sub(AuthLimits::default().logins_per_user));
                    for family in own { model.remove(&family); }
                    let request = login(&user.to_string(), "secret", None);
                    let (response, records) = issuer.grant(&request, now, &random(n as u64));
                    journal.extend(records);
                    model.insert(n, (user, tokens.len(), now + 600_000));
                    tokens.push((n, shown(response.unwrap().refresh_token)));
                }
                Step::Refresh(which) if !tokens.is_empty() => {
                    let which = which.index(tokens.len());
                    let (family, token) = tokens[which].clone();
                    let honoured = model.get(&family).is_some_and(|f| f.1 == which && f.2 > now);
                    let (response, records) = issuer.grant(&refresh(&token), now, &random(n as u64));
                    journal.extend(records);
                    prop_assert_eq!(response.is_ok(), honoured);
                    if let Ok(response) = response {
                        let user = model[&family].0;
                        model.insert(family, (user, tokens.len(), now + 600_000));
                        tokens.push((family, shown(response.refresh_token)));
                    } else {
                        model.remove(&family);
                    }
                }
                Step::RevokeUser(user) => {
                    journal.extend(issuer.revoke_user(UserId(user)).1);
                    model.retain(|_, f| f.0 != user);
                }
                Step::RevokeToken(which) if !tokens.is_empty() => {
                    let (family, token) = tokens[which.index(tokens.len())].clone();
                    let request = RevocationRequest { client: None, token: token.into() };
                    journal.extend(issuer.revoke(&request, now).1);
                    model.remove(&family);
                }
                Step::Wait(ms) => now += ms,
                Step::Restart => {
                    let mut state = State::new([0; 32]);
                    for record in &journal { state.apply(record); }
                    issuer = Issuer::new(settings(), state);
                }
                Step::Refresh(_) | Step::RevokeToken(_) => {}
            }
        }
    }
}
