//! How users and services identify themselves to a cluster in its development configuration.
//!
//! Known to everybody, and so only for loopback: a cluster for others gets a configuration of its own.

/// The password that all development users share.
pub const PASSWORD: &str = "fracas";
/// The id of the service that sets up and reads whole conversations.
pub const SERVICE_ID: &str = "fracas-service";
/// Its secret.
pub const SERVICE_SECRET: &str = "fracas-secret";
