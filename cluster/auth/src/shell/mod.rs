//! The async parts: journal, HTTP server, and the verifier that polls it.

pub mod journal;
pub mod remote_verifier;
pub mod routes;
pub mod serve;
pub mod service;
#[cfg(test)]
mod tests;
