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
}

impl OAuthError {
    /// An error.
    pub const fn new(error: ErrorCode, error_description: &'static str) -> Self {
        Self { error, error_description }
    }

    /// The HTTP status.
    pub const fn status(&self) -> u16 {
        match self.error {
            ErrorCode::InvalidClient => 401,
            _ => 400,
        }
    }
}
