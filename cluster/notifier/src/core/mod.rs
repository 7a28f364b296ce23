//! The decisions: no I/O, no clock, no randomness. Times and random numbers come in as arguments.

pub mod attempts;
pub mod breaker;
pub mod outcome;
pub mod retry;
