//! Token issue (OAuth 2.0) and verification (JWT, JWKS).
//!
//! `core` decides: who gets which token, when a refresh token is spent, what a token says. `shell`
//! keeps those decisions on the disk port, answers HTTP, and carries keys and revocations to the
//! gateways. The issuer here has no sign-up and no profiles: its users are the development users of
//! one shared password, its services are listed in the configuration. Tokens of one issuer elsewhere
//! (OpenID Connect) are verified beside its own.

pub mod core;
mod shell;

pub use core::oidc::location::Location;
pub use core::settings::{DevelopmentUsers, ServiceClient};
pub use shell::log::{check, is_on};
pub use shell::oidc::both::BothVerifiers;
pub use shell::oidc::{OidcConfig, OidcVerifier};
pub use shell::remote_verifier::RemoteVerifier;
pub use shell::serve::{AuthConfig, ServeError, serve};
