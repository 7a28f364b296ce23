//! A machine in memory, for tests and for the simulator: everything behind `ports` works, and fails on
//! demand.
//!
//! The server crates use it in their tests only; `sim` takes its disk, and has a network and a clock of
//! its own.

pub mod disk;
pub mod frozen;
pub mod machine;
pub mod network;

pub use disk::{Failure, FakeDisk, Rot};
pub use machine::{FakeClock, FakeTelemetry, Memory, START_MS};
pub use network::FakeNetwork;
