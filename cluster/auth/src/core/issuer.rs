//! The authorization server's decisions (RFC 6749): who gets which tokens.
//!
//! Every decision comes with the records that must be durable before its answer leaves the node.

use crate::core::answers::TokenResponse;
use crate::core::key::JwkSet;
use crate::core::logins::{Logins, Shown};
use crate::core::oauth_error::{ErrorCode, OAuthError};
use crate::core::refresh_token::{FamilyId, RefreshToken};
use crate::core::request::{ClientSecret, Grant, TokenRequest};
use crate::core::secret;
use crate::core::settings::{ServiceClient, Settings};
use crate::core::signing::{NextKey, PUBLISHED_BEFORE_MS, Signing};
use crate::core::state::{Family, Record, Snapshot, State};
use crate::core::token::{self, AUDIENCE, Payload};
use ports::{Claims, TokenError};
use protocol::{Secret, UserId};

/// What a user may do, and gets if nothing else is asked for.
pub const USER_SCOPE: &str = "chat";
/// The scope of services that may change anything.
pub const ADMIN_SCOPE: &str = "admin";
/// How far the clocks of verifiers may be behind, milliseconds.
const CLOCKS_APART_MS: u64 = 300_000;

/// Fresh random bytes for one decision.
#[derive(Clone, Debug)]
pub struct Random {
    /// Names an access token.
    pub token_id: [u8; 16],
    /// Names a family.
    pub family: [u8; 16],
    /// The next secret of a family.
    pub secret: Secret<[u8; 16]>,
}

/// An answer, and what must be durable before it is given.
pub type Decision<T> = (T, Vec<Record>);

/// The authorization server without its network, disk, clock and dice.
pub struct Issuer {
    settings: Settings,
    signing: Signing,
    logins: Logins,
    state: State,
}

impl Issuer {
    /// An issuer that goes on from a state.
    pub fn new(settings: Settings, state: State) -> Self {
        let (signing, logins) = (Signing::of(state.keys()), Logins::new(&settings.limits));
        Self { settings, signing, logins, state }
    }

    /// Everything to remember.
    pub fn snapshot(&self, now_ms: u64) -> Snapshot {
        self.state.to_snapshot(now_ms)
    }

    /// How many refresh families live.
    pub fn families(&self) -> usize {
        self.state.families()
    }

    /// The public keys: of all tokens that may live, and the next one.
    pub fn keys(&self, now_ms: u64) -> JwkSet {
        self.signing.published(now_ms)
    }

    /// Begins to use another signing key, as soon as verifiers know it; its name. One that waits for its
    /// time is not followed by yet another one.
    pub fn rotate(&mut self, now_ms: u64, seed: [u8; 32]) -> Decision<String> {
        let mut records = Vec::new();
        if !self.signing.is_pending(now_ms) {
            let from_ms = now_ms.saturating_add(PUBLISHED_BEFORE_MS);
            let earlier_until_ms = self.last_token_ends(from_ms);
            let next = NextKey { seed: Secret::new(seed), from_ms, earlier_until_ms };
            records.push(Record::KeyAdded(next));
            self.apply(&records);
            self.signing = Signing::of(self.state.keys());
        }
        (self.signing.newest().kid.clone(), records)
    }

    fn apply(&mut self, records: &[Record]) {
        for record in records {
            self.state.apply(record);
        }
    }

    /// When a token that is issued at a time has run out, on every clock that is not further off than
    /// `CLOCKS_APART_MS`.
    fn last_token_ends(&self, issued_ms: u64) -> u64 {
        let lifetime_ms = self.settings.access_token_lifetime.as_millis() as u64;
        issued_ms.saturating_add(lifetime_ms).saturating_add(CLOCKS_APART_MS)
    }

    /// The identifier of the issuer.
    pub fn identifier(&self) -> &str {
        &self.settings.issuer
    }

    /// Answers the token endpoint. An error may come with records too: a reused refresh token ends
    /// its family.
    pub fn grant(
        &mut self,
        request: &TokenRequest,
        now_ms: u64,
        random: &Random,
    ) -> Decision<Result<TokenResponse, OAuthError>> {
        let named = self.named(&request.grant);
        if let Some((user, shows)) = named
            && let Err(slow_down) = self.logins.admit(user, shows, now_ms)
        {
            return (Err(slow_down), Vec::new());
        }
        let mut records = Vec::new();
        let response = self
            .authenticate(request.client.as_ref())
            .and_then(|service| self.decide(request, service, now_ms, random, &mut records));
        if let Some((user, shows)) = named {
            self.logins.ended(user, shows, &response);
        }
        self.apply(&records);
        (response, records)
    }

    /// The user whose tokens a request is about, if there is one, and what it shows.
    fn named(&self, grant: &Grant) -> Option<(UserId, Shown)> {
        match grant {
            Grant::Password { username, .. } => Some((self.user_named(username)?, Shown::Password)),
            Grant::RefreshToken { token } => {
                let token = RefreshToken::from_text(token.expose())?;
                let family = self.state.family(token.family)?;
                Some((family.user, Shown::RefreshToken))
            }
            Grant::ClientCredentials => None,
        }
    }

    fn decide(
        &self,
        request: &TokenRequest,
        service: Option<&ServiceClient>,
        now_ms: u64,
        random: &Random,
        records: &mut Vec<Record>,
    ) -> Result<TokenResponse, OAuthError> {
        let wanted = request.scopes.as_deref();
        match &request.grant {
            Grant::Password { username, password } => {
                let user = self.user(username, password)?;
                let scopes = granted(wanted, &[USER_SCOPE.to_owned()])?;
                let most = self.settings.limits.logins_per_user;
                let ended = self.state.giving_way(user, most, now_ms).into_iter();
                records.extend(ended.map(Record::FamilyEnded));
                let id = FamilyId(random.family);
                Ok(self.user_tokens(user, id, &scopes, &scopes, now_ms, random, records))
            }
            Grant::ClientCredentials => {
                let service = service.ok_or(OAuthError::new(
                    ErrorCode::InvalidClient,
                    "the client_credentials grant needs a client id and secret",
                ))?;
                let scopes = granted(wanted, &service.scopes)?;
                Ok(self.access_token(None, &service.id, &scopes, now_ms, random))
            }
            Grant::RefreshToken { token } => {
                let (id, family) = self.unspent(token, now_ms, records)?;
                let scopes = granted(wanted, &family.scopes)?;
                let (user, all) = (family.user, family.scopes.clone());
                Ok(self.user_tokens(user, id, &scopes, &all, now_ms, random, records))
            }
        }
    }

    /// The family of a refresh token that may be exchanged. A spent one ends its family: either the
    /// thief or the owner shows it second, and nobody can tell which (RFC 9700 section 4.14.2). A
    /// client whose answer got lost logs in again.
    fn unspent(
        &self,
        token: &Secret,
        now_ms: u64,
        records: &mut Vec<Record>,
    ) -> Result<(FamilyId, &Family), OAuthError> {
        let wrong = OAuthError::new(
            ErrorCode::InvalidGrant,
            "the refresh token is unknown, spent, expired or revoked",
        );
        let token = RefreshToken::from_text(token.expose()).ok_or(wrong.clone())?;
        let family = self.state.family(token.family).ok_or(wrong.clone())?;
        if !secret::has_fingerprint(token.secret.expose(), &family.fingerprint) {
            records.push(self.ending(token.family, now_ms));
            return Err(wrong);
        }
        if now_ms >= family.expires_ms {
            records.push(Record::FamilyEnded(token.family));
            return Err(wrong);
        }
        Ok((token.family, family))
    }

    #[allow(clippy::too_many_arguments, reason = "one call of two, each names what it passes")]
    fn user_tokens(
        &self,
        user: UserId,
        family: FamilyId,
        scopes: &[String],
        family_scopes: &[String],
        now_ms: u64,
        random: &Random,
        records: &mut Vec<Record>,
    ) -> TokenResponse {
        let lifetime_ms = self.settings.refresh_token_lifetime.as_millis() as u64;
        records.push(Record::Family(
            family,
            Family {
                user,
                scopes: family_scopes.to_vec(),
                fingerprint: secret::fingerprint(random.secret.expose()),
                expires_ms: now_ms.saturating_add(lifetime_ms),
            },
        ));
        let refresh = RefreshToken { family, secret: random.secret.clone() };
        let login = Some((user, family));
        let access = self.access_token(login, &format!("user-{user}"), scopes, now_ms, random);
        TokenResponse { refresh_token: Some(refresh.to_text()), ..access }
    }

    fn access_token(
        &self,
        login: Option<(UserId, FamilyId)>,
        subject: &str,
        scopes: &[String],
        now_ms: u64,
        random: &Random,
    ) -> TokenResponse {
        let lifetime_ms = self.settings.access_token_lifetime.as_millis() as u64;
        // Whole seconds, rounded up: a lifetime below a second is still one.
        let exp = now_ms.saturating_add(lifetime_ms).div_ceil(1_000);
        let scope = scopes.join(" ");
        let user = login.map(|(user, _)| user);
        let payload = Payload {
            iss: self.settings.issuer.clone(),
            aud: AUDIENCE.into(),
            sub: subject.into(),
            client_id: if user.is_some() { "public".into() } else { subject.into() },
            exp,
            iat: now_ms / 1_000,
            jti: hex(&random.token_id),
            scope: scope.clone(),
            uid: user.map(|user| user.0),
            sid: login.map(|(_, family)| family),
            rev: user.map_or(0, |user| self.state.epoch(user)),
        };
        TokenResponse {
            access_token: token::issue(&payload, self.signing.current(now_ms)).into(),
            token_type: "Bearer".into(),
            expires_in: exp.saturating_mul(1_000).saturating_sub(now_ms) / 1_000,
            scope,
            refresh_token: None,
        }
    }

    /// The service that a shown id and secret belong to; an error if they are wrong.
    fn authenticate(
        &self,
        client: Option<&ClientSecret>,
    ) -> Result<Option<&ServiceClient>, OAuthError> {
        let Some(client) = client else { return Ok(None) };
        let service = self.settings.services.iter().find(|service| service.id == client.id);
        // An unknown id takes as long as a wrong secret.
        let expected = service.map_or("", |service| service.secret.expose());
        let same = secret::same(client.secret.expose().as_bytes(), expected.as_bytes());
        match service {
            Some(service) if same && !service.secret.expose().is_empty() => Ok(Some(service)),
            _ => Err(OAuthError::new(
                ErrorCode::InvalidClient,
                "the client id or the client secret is wrong",
            )),
        }
    }

    /// The user of a name and password.
    fn user(&self, username: &str, password: &Secret) -> Result<UserId, OAuthError> {
        let users = self.settings.development_users.as_ref().ok_or(OAuthError::new(
            ErrorCode::UnsupportedGrantType,
            "the password grant is off: there are no development users",
        ))?;
        let (shown, expected) = (password.expose(), users.password.expose());
        let same = secret::same(shown.as_bytes(), expected.as_bytes());
        self.user_named(username).filter(|_| same).ok_or(OAuthError::new(
            ErrorCode::InvalidGrant,
            "the user name or the password is wrong",
        ))
    }

    /// The user of a name, if there is one.
    fn user_named(&self, username: &str) -> Option<UserId> {
        let users = self.settings.development_users.as_ref()?;
        user_number(username).filter(|number| (1..=users.count).contains(number)).map(UserId)
    }

    /// What an access token of this issuer says.
    pub fn verify(&self, token: &str, now_ms: u64) -> Result<Claims, TokenError> {
        let named = |name: &str| self.signing.named(name, now_ms);
        let claims = token::open(token, &self.settings.issuer, now_ms, named)?;
        match claims.user {
            Some(user) if claims.revocation_epoch < self.state.epoch(user) => {
                Err(TokenError::Revoked)
            }
            _ if claims
                .login
                .is_some_and(|login| self.state.is_ended(FamilyId(login.to_be_bytes()))) =>
            {
                Err(TokenError::Revoked)
            }
            _ => Ok(claims),
        }
    }
}

/// `user-7` and `7` are user 7; `07`, `+7` and `user-` are nobody.
pub(in crate::core) fn user_number(username: &str) -> Option<u64> {
    let digits = username.strip_prefix("user-").unwrap_or(username);
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    digits.parse().ok().filter(|_| plain)
}

/// The wanted scopes, if all of them may be had; all that may be had, if none were named.
fn granted(wanted: Option<&[String]>, available: &[String]) -> Result<Vec<String>, OAuthError> {
    let Some(wanted) = wanted.filter(|wanted| !wanted.is_empty()) else {
        return Ok(available.to_vec());
    };
    if wanted.iter().all(|scope| available.contains(scope)) {
        // In the order of the available ones, each once.
        Ok(available.iter().filter(|scope| wanted.contains(scope)).cloned().collect())
    } else {
        Err(OAuthError::new(ErrorCode::InvalidScope, "a scope is unknown or may not be granted"))
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("strings take everything");
        text
    })
}

mod revoking;
#[cfg(test)]
mod tests;
