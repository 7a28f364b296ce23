//! The decisions: no I/O, no clock, no randomness. Times and random numbers come in as arguments.

pub mod breaker;
pub mod deliveries;
pub mod hand;
pub mod outcome;
pub mod retry;
pub mod taken;
