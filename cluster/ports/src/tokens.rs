//! Who somebody is, by an access token, without asking anybody per message.

use protocol::UserId;
use std::num::NonZeroU32;

/// What a token may allow, and who has it.
const SCOPES: [&str; 3] = ["chat", "admin", "audit"];

/// Granted scopes: `chat` for users; `admin` and `audit` for services. Others mean nothing here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scopes(u8);

impl Scopes {
    /// Those among some words that mean something.
    pub fn of<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        Self(words.into_iter().map(Self::bit).fold(0, |all, bit| all | bit))
    }

    /// Whether a scope is one of them.
    pub fn has(self, scope: &str) -> bool {
        self.0 & Self::bit(scope) != 0
    }

    fn bit(scope: &str) -> u8 {
        SCOPES.iter().position(|known| *known == scope).map_or(0, |at| 1 << at)
    }
}

/// What of a valid access token matters: a few bytes, which every session keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The user; `None` for a service.
    pub user: Option<UserId>,
    /// What it allows.
    pub scopes: Scopes,
    /// When it runs out, milliseconds since the Unix epoch.
    pub expires_ms: u64,
    /// The login that it goes back to, which can be revoked by itself; `None` for a service.
    pub login: Option<u128>,
    /// The user's revocation epoch at the time of issue: a token of an earlier epoch than the current
    /// one is revoked.
    pub revocation_epoch: u64,
    /// Which key of an outside issuer has signed it, by the number that the verifier gave it; `None` for a
    /// token of our own auth service. Revocations are about the latter alone.
    pub signer: Option<NonZeroU32>,
}

impl Claims {
    /// Whether a scope was granted.
    pub fn has(&self, scope: &str) -> bool {
        self.scopes.has(scope)
    }
}

/// Why a token is not honoured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not a token of this issuer: bad form, signature, audience or key.
    #[error("the token is not valid")]
    Invalid,
    /// It has run out.
    #[error("the token has expired")]
    Expired,
    /// It was revoked.
    #[error("the token was revoked")]
    Revoked,
    /// The issuer's keys are not known yet: the verifier has not reached it.
    #[error("the keys of the issuer are not known yet")]
    NotReady,
}

/// Verifies tokens with what it has learned from the issuer. Synchronous: no call per message.
pub trait TokenVerifier: Send + Sync {
    /// What the token says, if it is to be honoured at this wall-clock time.
    fn verify(&self, token: &str, now_ms: u64) -> Result<Claims, TokenError>;
    /// Whether claims that were verified earlier are still to be honoured: checked again and again
    /// during a session.
    fn still_valid(&self, claims: &Claims, now_ms: u64) -> Result<(), TokenError>;
    /// Changes, and never back, when claims that were still valid may not be any more for another reason than
    /// the time. To be asked before `still_valid`.
    fn revision(&self) -> u64;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_signed_costs_a_session_nothing() {
        // The rest leaves room in what the login is aligned to.
        assert_eq!(size_of::<Claims>(), 80);
    }

    #[test]
    fn scopes_are_those_that_mean_something() {
        let scopes = Scopes::of("chat extra audit".split(' '));
        assert_eq!(
            ["chat", "admin", "audit", "extra", ""].map(|it| scopes.has(it)),
            [true, false, true, false, false]
        );
        assert_eq!(Scopes::of(["other"]), Scopes::default());
    }
}
