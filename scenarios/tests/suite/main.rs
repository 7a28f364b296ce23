//! What the crate promises, seen from outside: one test binary, one module per claim.

#![allow(clippy::needless_raw_string_hashes, reason = "expect-test writes its snapshots so")]

mod database;
mod deadlines;
mod draws;
mod fixtures;
mod journeys;
mod links;
mod mistakes;
mod overrides;
mod round_trip;
mod shipped;
mod starting_point;
mod tries;
