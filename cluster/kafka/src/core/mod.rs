//! What the adapter decides, without I/O, clock or randomness.

pub mod claim;
pub mod dead;
pub mod gateways;
pub mod room;
pub mod topology;
pub mod window;
