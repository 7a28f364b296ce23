//! The async parts: log, HTTP server, and the verifier that polls it.

pub mod log;
mod measured;
pub mod oidc;
pub mod remote_verifier;
pub mod routes;
pub mod serve;
pub mod service;
#[cfg(test)]
mod tests;
