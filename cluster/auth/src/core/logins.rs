//! How often one user may get tokens, and show wrong passwords.
//!
//! Both are counted for each user, wherever the requests come from: whoever guesses has many addresses.
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

    /// Counts a request for tokens of a user, both ways.
    pub fn admit(&mut self, user: UserId, now_ms: u64) -> Result<(), OAuthError> {
        self.failed.take(user, now_ms).map_err(OAuthError::slow_down)?;
        self.granted.take(user, now_ms).map_err(|seconds| {
            self.failed.give_back(&user);
            OAuthError::slow_down(seconds)
        })
    }

    /// What came of it: only a wrong password or token is a failure, and only what was granted a grant.
    pub fn ended<T>(&mut self, user: UserId, granted: &Result<T, OAuthError>) {
        let is_wrong = |error: &OAuthError| error.error == ErrorCode::InvalidGrant;
        if granted.is_err() {
            self.granted.give_back(&user);
        }
        if !granted.as_ref().is_err_and(is_wrong) {
            self.failed.give_back(&user);
        }
    }
}
