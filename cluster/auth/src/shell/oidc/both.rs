//! Two issuers: our own auth service, and one outside. Each judges its own tokens.

use super::OidcVerifier;
use crate::shell::remote_verifier::RemoteVerifier;
use ports::{Claims, TokenError, TokenVerifier};
use std::sync::Arc;

/// Honours tokens of both.
pub struct BothVerifiers {
    own: Arc<RemoteVerifier>,
    outside: Arc<OidcVerifier>,
}

impl BothVerifiers {
    /// Of two that were started.
    pub fn new(own: Arc<RemoteVerifier>, outside: Arc<OidcVerifier>) -> Self {
        Self { own, outside }
    }
}

impl TokenVerifier for BothVerifiers {
    fn verify(&self, token: &str, now_ms: u64) -> Result<Claims, TokenError> {
        if self.outside.claims_to_be_its(token) {
            return self.outside.verify(token, now_ms);
        }
        match self.own.verify(token, now_ms) {
            // What neither has issued tells whether both can judge: so a gateway asks if it is ready.
            Err(TokenError::Invalid) if !self.outside.is_ready() => Err(TokenError::NotReady),
            judged => judged,
        }
    }

    fn still_valid(&self, claims: &Claims, now_ms: u64) -> Result<(), TokenError> {
        // The revocation epochs of our own users say nothing of a token of somebody else.
        match claims.signer {
            Some(_) => self.outside.still_valid(claims, now_ms),
            None => self.own.still_valid(claims, now_ms),
        }
    }

    fn revision(&self) -> u64 {
        // Both only rise: whichever does, the sum changes.
        self.own.revision() + self.outside.revision()
    }
}
