//! What the adapter decides, without I/O, clock or randomness.

pub mod commit;
pub mod failure;
pub mod hosts;
pub mod numbers;
pub mod schema;
pub mod waves;
pub mod writers;
