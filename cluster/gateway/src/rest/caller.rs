//! Who makes a request: the bearer token (RFC 6750), checked without a call, and what it allows.

use super::Rest;
use super::problem::{Kind, Problem};
use super::source::Source;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use ports::{Claims, Machine, TokenError, TokenVerifier, entered};
use protocol::UserId;
use std::sync::{Arc, Mutex};
use tokio::sync::OwnedSemaphorePermit;

/// What users may do.
pub const CHAT: &str = "chat";
/// What services need to change things.
pub const ADMIN: &str = "admin";
/// What services need to read what they are no members of.
pub const AUDIT: &str = "audit";

/// An authenticated caller within its allowance, and its place among those who are served.
pub struct Caller {
    claims: Claims,
    _place: Place,
}

/// A place among those who are served at a time; an extension of the request, too.
#[derive(Clone, Default)]
pub struct Place(Arc<Mutex<Option<OwnedSemaphorePermit>>>);

impl Place {
    /// Takes one, if there is one.
    pub(super) fn take(&self, rest: &Rest) -> Result<(), Problem> {
        let permit = Arc::clone(&rest.places).try_acquire_owned();
        let permit =
            permit.map_err(|_| Problem::new(Kind::Unavailable, "too many requests at once"))?;
        *entered(self.0.lock()) = Some(permit);
        Ok(())
    }

    /// Leaves it to others for as long as the request is not complete: a few users whose bodies never
    /// come would hold all of them.
    pub fn leave(&self) {
        *entered(self.0.lock()) = None;
    }
}

/// As whom something is read or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A user, who sees own conversations.
    User(UserId),
    /// A service, which is no member of anything.
    Service,
}

impl Role {
    /// For the owners: `None` is a service.
    pub fn user(self) -> Option<UserId> {
        match self {
            Self::User(user) => Some(user),
            Self::Service => None,
        }
    }
}

impl Caller {
    /// A user with the scope `chat`.
    pub fn user(&self) -> Result<UserId, Problem> {
        let user = self.claims.user.ok_or_else(|| {
            Problem::new(Kind::Forbidden, "this is for users: a service has no conversations")
        })?;
        if self.claims.has(CHAT) { Ok(user) } else { Err(Problem::lacks_scope(&[CHAT])) }
    }

    /// A user with the scope `chat`, or a service with one of these scopes.
    pub fn user_or_service(&self, scopes: &[&str]) -> Result<Role, Problem> {
        if self.claims.user.is_some() {
            return self.user().map(Role::User);
        }
        self.service(scopes).map(|()| Role::Service)
    }

    /// A service with one of these scopes. Users never have them, whatever their token says.
    pub fn service(&self, scopes: &[&str]) -> Result<(), Problem> {
        let allowed =
            self.claims.user.is_none() && scopes.iter().any(|scope| self.claims.has(scope));
        if allowed { Ok(()) } else { Err(Problem::lacks_scope(scopes)) }
    }
}

impl FromRequestParts<Arc<Rest>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, rest: &Arc<Rest>) -> Result<Self, Problem> {
        let Ok(source) = Source::from_request_parts(parts, rest).await;
        let token = bearer(&parts.headers)?;
        // Before the signature is checked, which is what a forged token costs.
        rest.sources.risk_token(source, rest.now_ms())?;
        let verified = rest.state.tokens.verify(token, rest.state.machine.clock.now_ms());
        if matches!(verified, Ok(_) | Err(TokenError::NotReady)) {
            rest.sources.honoured(source);
        }
        let claims = verified.map_err(refused)?;
        // Services prepare whole runs; they are trusted not to flood.
        if let Some(user) = claims.user {
            within_allowance(rest, user)?;
        }
        let place = Place::default();
        place.take(rest)?;
        parts.extensions.insert(place.clone());
        Ok(Self { claims, _place: place })
    }
}

/// What the bearer token of a request says.
pub fn claims(
    headers: &HeaderMap,
    machine: &Machine,
    tokens: &dyn TokenVerifier,
) -> Result<Claims, Problem> {
    tokens.verify(bearer(headers)?, machine.clock.now_ms()).map_err(refused)
}

/// The one token of a request: whoever stands between may have read the other one of two.
fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(Problem::new(Kind::Malformed, "the request has several headers Authorization"));
    }
    first
        .and_then(|value| value.to_str().ok()?.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .ok_or_else(|| {
            Problem::new(Kind::Unauthenticated, "there is no bearer token")
                .challenge("Bearer realm=\"fracas\"")
        })
}

fn refused(error: TokenError) -> Problem {
    let detail = error.to_string();
    match error {
        TokenError::NotReady => Problem::new(Kind::Unavailable, detail),
        TokenError::Invalid | TokenError::Expired | TokenError::Revoked => {
            Problem::new(Kind::Unauthenticated, detail)
                .challenge("Bearer realm=\"fracas\", error=\"invalid_token\"")
        }
    }
}

fn within_allowance(rest: &Rest, user: UserId) -> Result<(), Problem> {
    let taken = entered(rest.allowances.lock()).take(user, rest.now_ms());
    taken.map_err(|seconds| {
        Problem::new(Kind::TooManyRequests, "too many requests of this user").retry_after(seconds)
    })
}
