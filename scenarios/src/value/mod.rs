//! The values that only scenarios have.

pub mod invariant;
pub mod size;
pub mod target;
pub mod time;
pub mod word;
