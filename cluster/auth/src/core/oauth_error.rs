//! Errors of the token and revocation endpoints (RFC 6749 section 5.2, RFC 7009 section 2.2.1).

use serde::Serialize;

/// What is wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// A parameter is missing, repeated or malformed.
    InvalidRequest,
    /// The client's id or secret is wrong, or a client must say who it is.
    InvalidClient,
    /// User name, password or refresh token are wrong, spent or revoked.
    InvalidGrant,
    /// This client may not use this grant.
    UnauthorizedClient,
    /// There is no such grant here.
    UnsupportedGrantType,
    /// A scope is unknown or more than may be granted.
    InvalidScope,
    /// Too many requests for tokens of this user; no RFC has a code for it here.
    SlowDown,
    /// Only refresh tokens can be revoked one by one.
    UnsupportedTokenType,
}

/// An error, with a sentence for the developer of the client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{error_description}")]
pub struct OAuthError {
    /// The code.
    pub error: ErrorCode,
    /// ASCII without quotes and backslashes, as the RFC wants it: never text of the request.
    pub error_description: &'static str,
    /// In how many seconds the same may be asked for again, if that is why.
    #[serde(skip)]
    pub retry_after_s: Option<u64>,
}

impl OAuthError {
    /// An error.
    pub const fn new(error: ErrorCode, error_description: &'static str) -> Self {
        Self { error, error_description, retry_after_s: None }
    }

    /// There were too many.
    pub const fn slow_down(seconds: u64) -> Self {
        let slow_down = Self::new(ErrorCode::SlowDown, "too many requests for tokens of this user");
        Self { retry_after_s: Some(seconds), ..slow_down }
    }

    /// The HTTP status.
    pub const fn status(&self) -> u16 {
        match self.error {
            ErrorCode::InvalidClient => 401,
            ErrorCode::SlowDown => 429,
            _ => 400,
        }
    }
}
