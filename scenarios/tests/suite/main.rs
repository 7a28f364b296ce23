//! What the crate promises, seen from outside: one test binary, one module per claim.

mod fixtures;
mod mistakes;
mod overrides;
mod round_trip;
mod shipped;
