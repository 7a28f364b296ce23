//! What the issuer is configured with.

use protocol::Secret;
use protocol::limits::AuthLimits;
use std::time::Duration;

/// Users 1 to `count` with one password: for development, simulation and load tests.
///
/// The password is compared in constant time but not hashed slowly: a slow hash protects stolen
/// password files and passwords that people use elsewhere, and here there is neither; but it would
/// cost a second of CPU for every ten virtual users that log in at the beginning of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DevelopmentUsers {
    /// Users are 1 to this.
    pub count: u64,
    /// The password of all of them.
    pub password: Secret,
}

/// A service that gets tokens with the client credentials grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceClient {
    /// Its client id.
    pub id: String,
    /// Its client secret.
    pub secret: Secret,
    /// The scopes that it may have: `admin`, `audit`.
    pub scopes: Vec<String>,
}

/// What is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The issuer's identifier, a URL.
    pub issuer: String,
    /// Users, if the password grant is on.
    pub development_users: Option<DevelopmentUsers>,
    /// Services.
    pub services: Vec<ServiceClient>,
    /// How long an access token lives.
    pub access_token_lifetime: Duration,
    /// How long a refresh token lives, from its own issue on.
    pub refresh_token_lifetime: Duration,
    /// What is held for one user, and answered at once.
    pub limits: AuthLimits,
}
