//! The decisions: no I/O, no clock, no randomness. Times and random bytes come in as arguments.

pub mod answers;
pub mod issuer;
pub mod key;
pub mod keyring;
pub mod logins;
pub mod oauth_error;
pub mod oidc;
pub mod refresh_token;
pub mod request;
pub mod secret;
pub mod settings;
pub mod signing;
pub mod state;
pub mod token;
