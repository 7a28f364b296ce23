//! Who somebody is, by an access token, without asking anybody per message.

use protocol::UserId;

/// What a valid access token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The user; `None` for a service.
    pub user: Option<UserId>,
    /// The OAuth 2.0 client or user name, for logs.
    pub subject: String,
    /// Granted scopes: `chat` for users; `admin` and `audit` for services.
    pub scopes: Vec<String>,
    /// When it runs out, milliseconds since the Unix epoch.
    pub expires_ms: u64,
    /// The login that it goes back to, which can be revoked by itself; `None` for a service.
    pub login: Option<u128>,
    /// The user's revocation epoch at the time of issue: a token of an earlier epoch than the current
    /// one is revoked.
    pub revocation_epoch: u64,
}

impl Claims {
    /// Whether a scope was granted.
    pub fn has(&self, scope: &str) -> bool {
        self.scopes.iter().any(|granted| granted == scope)
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
}
