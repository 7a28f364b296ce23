//! What the adapter decides, without I/O, clock or randomness.

pub mod acknowledged;
pub mod addresses;
pub mod dead;
pub mod depths;
pub mod topology;
