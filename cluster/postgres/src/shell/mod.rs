//! The connections to PostgreSQL, and the port over them.

mod commits;
mod connecting;
mod leases;
mod migrating;
mod prefetch;
mod rows;
mod session;
pub mod store;
mod tls;
mod view;
