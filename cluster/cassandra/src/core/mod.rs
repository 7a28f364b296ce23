//! What the adapter decides, without I/O, clock or randomness.

pub mod numbers;
pub mod outcome;
pub mod payload;
pub mod retired;
pub mod rows;
pub mod schema;
pub mod versions;
