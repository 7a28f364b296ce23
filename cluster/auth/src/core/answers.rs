//! The successful answers of the service, as they travel in JSON.

use crate::core::refresh_token::FamilyId;
use protocol::secret::exposed;
use protocol::{Secret, UserId};
use serde::{Deserialize, Serialize};

/// A successful answer of the token endpoint (RFC 6749 section 5.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenResponse {
    /// A JWT.
    #[serde(with = "exposed")]
    pub access_token: Secret,
    /// `Bearer`.
    pub token_type: String,
    /// Seconds until the access token runs out.
    pub expires_in: u64,
    /// Granted scopes, separated by spaces.
    pub scope: String,
    /// For the password and refresh grants.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "exposed::optional")]
    pub refresh_token: Option<Secret>,
}

/// What verifiers poll.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevocationPage {
    /// The `iss` of tokens.
    pub issuer: String,
    /// The name of the newest key.
    pub key: String,
    /// The name of this history of revocations: an issuer that has lost its disk counts from the
    /// beginning. Not there: the key's name is.
    #[serde(default)]
    pub history: Option<String>,
    /// The changes of this page, oldest first.
    pub revocations: Vec<UserRevocation>,
    /// Logins that were revoked by themselves, oldest first.
    #[serde(default)]
    pub logins: Vec<LoginRevocation>,
    /// Ask again behind this change.
    pub next: u64,
    /// Whether there is more behind `next` already.
    pub more: bool,
}

/// All tokens of a login are revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginRevocation {
    /// The login: the `sid` of its access tokens.
    pub login: FamilyId,
    /// When the last of them has certainly run out, milliseconds since the Unix epoch.
    pub until_ms: u64,
}

/// Tokens of a user of an earlier epoch are revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRevocation {
    /// The user.
    pub user: UserId,
    /// The current epoch.
    pub epoch: u64,
}
