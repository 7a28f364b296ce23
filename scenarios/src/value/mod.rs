//! The values that only scenarios have.

pub mod bandwidth;
pub mod exponent;
pub mod invariant;
pub mod rate;
pub mod size;
pub mod target;
pub mod time;
pub mod word;
