//! How often one user may get tokens, and show wrong passwords.
//!
//! Both are counted for each user, wherever the requests come from: whoever guesses has many addresses. So
//! somebody who keeps guessing keeps the user from logging in, but not from staying logged in: a refresh
//! token needs no such bound, since nobody guesses one, and a wrong one of a login ends that login.
//! What comes from one address is the gateways' to count (`cluster/gateway/src/rest/source.rs`).

use crate::core::oauth_error::{ErrorCode, OAuthError};
use protocol::UserId;
use protocol::limits::AuthLimits;
use protocol::throttle::Throttle;

/// See the module.
pub struct Logins {
    granted: Throttle<UserId>,
    failed: Throttle<UserId>,
}

impl Logins {
    /// Nobody has asked for a token.
    pub const fn new(limits: &AuthLimits) -> Self {
        let (grants, burst) = (limits.grants_per_minute, limits.grants_burst);
        let (failed, failed_burst) = (limits.failed_logins_per_minute, limits.failed_logins_burst);
        Self {
            granted: Throttle::per_minute(grants, burst, limits.users),
            failed: Throttle::per_minute(failed, failed_burst, limits.users),
        }
    }

    /// Counts a request for tokens of a user; one with a password both ways.
    pub fn admit(&mut self, user: UserId, shows: Shown, now_ms: u64) -> Result<(), OAuthError> {
        if shows == Shown::Password {
            self.failed.take(user, now_ms).map_err(OAuthError::slow_down)?;
        }
        self.granted.take(user, now_ms).map_err(|seconds| {
            if shows == Shown::Password {
                self.failed.give_back(&user);
            }
            OAuthError::slow_down(seconds)
        })
    }

    /// What came of it: only a wrong password is a failure, and only what was granted a grant.
    pub fn ended<T>(&mut self, user: UserId, shows: Shown, granted: &Result<T, OAuthError>) {
        let is_wrong = |error: &OAuthError| error.error == ErrorCode::InvalidGrant;
        if granted.is_err() {
            self.granted.give_back(&user);
        }
        if shows == Shown::Password && !granted.as_ref().is_err_and(is_wrong) {
            self.failed.give_back(&user);
        }
    }
}

/// What somebody shows to get tokens of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// A password, which may be guessed.
    Password,
    /// A token of a login that lives.
    RefreshToken,
}
