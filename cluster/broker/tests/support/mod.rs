//! A machine in memory: tokio's paused clock, pipes for a network, and a disk that loses what was not
//! synced.

#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod either;
pub mod takeover;

use fakes::{FakeClock, FakeDisk, FakeNetwork, FakeTelemetry, Memory};
use ports::Machine;
use std::sync::Arc;

thread_local! {
    /// The date goes on over a restart.
    static CLOCK: FakeClock = FakeClock::default();
}

/// A machine on these surroundings.
pub fn machine(name: &str, network: &Arc<FakeNetwork>, disk: &FakeDisk) -> Machine {
    let (network, disk) = (Arc::clone(network), disk.clone());
    let clock = CLOCK.with(Clone::clone);
    Memory { network, disk, clock, ..Memory::default() }.machine(name)
}

/// The same with a telemetry to look at.
pub fn machine_with(telemetry: &Arc<FakeTelemetry>, disk: &FakeDisk) -> Machine {
    let telemetry = Arc::clone(telemetry) as Arc<dyn ports::Telemetry>;
    Machine { telemetry, ..machine("broker-1", &Arc::default(), disk) }
}
