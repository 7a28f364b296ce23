//! Access tokens of an issuer that is not ours: an OpenID provider.
//!
//! Its discovery document says where its keys are (OpenID Connect Discovery 1.0), its key set holds them
//! (RFC 7517), and a token is a JWS (RFC 7515) that one of them has signed. When to fetch what, and what to do
//! while the issuer is away, is left to the shell.

pub mod discovery;
pub mod key;
pub mod key_set;
pub mod known;
pub mod location;
pub mod token;

#[cfg(test)]
pub mod tests;
