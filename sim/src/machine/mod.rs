//! A simulated machine: every port of a host, backed by the simulation.

pub mod clock;
pub mod database;
pub mod ending;
pub mod flow;
pub mod gate;
pub mod network;
pub mod path;
pub mod processes;
pub mod pulse;
pub mod tasks;
pub mod telemetry;
pub mod trace;

use crate::seed::SeededEntropy;
use clock::Clock;
use ending::Ending;
use fakes::FakeDisk;
use gate::Gate;
use network::SimNetwork;
use path::Path;
use ports::Machine;
use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;
use tasks::{RoundTrips, SimTasks};
use telemetry::{Counters, SimTelemetry};
use workload::Recorder;

/// What stays of a host when its process dies: its disk, its clock, its cables.
pub struct HostHardware {
    /// Its name.
    pub name: Arc<str>,
    /// Its disk.
    pub disk: FakeDisk,
    /// Its wall clock.
    pub clock: Clock,
    /// The gate of its tasks.
    pub gate: Gate,
    /// Whether its process was asked to end.
    pub ending: Ending,
    /// What its processes have counted.
    pub counters: Counters,
    network: SimNetwork,
    path: Path,
    recorder: Arc<dyn Recorder>,
    seed: u64,
    disk_sync: Duration,
    /// What jobs of its workers ask over the network.
    pub round_trips: RoundTrips,
    lives: Cell<u32>,
}

impl HostHardware {
    /// New hardware.
    pub fn new(
        network: SimNetwork,
        gate: Gate,
        (recorder, path): (Arc<dyn Recorder>, Path),
        seed: u64,
        (disk_sync, round_trip): (Duration, Duration),
    ) -> Self {
        Self {
            name: network.host.clone(),
            disk: network.trace.watched_disk(),
            clock: Clock::default(),
            gate,
            ending: Ending::default(),
            counters: Counters::default(),
            network,
            path,
            recorder,
            seed,
            disk_sync,
            round_trips: RoundTrips::new(round_trip),
            lives: Cell::new(0),
        }
    }

    /// What its process does; the process is there until that ends.
    pub fn runs<F: Future>(&self, software: F) -> impl Future<Output = F::Output> + use<F> {
        let running = self.network.processes.begins(&self.name);
        async move {
            let _until_it_ends = running;
            software.await
        }
    }

    /// The machine of a process that starts now.
    pub fn start(&self) -> Machine {
        let life = self.lives.get();
        self.lives.set(life + 1);
        let entropy =
            Arc::new(SeededEntropy::new(self.seed, &self.name, life, self.network.trace.clone()));
        Machine {
            name: self.name.clone(),
            network: Arc::new(self.network.clone()),
            disk: Arc::new(self.disk.clone()),
            clock: Arc::new(self.clock.clone()),
            entropy: entropy.clone(),
            tasks: Arc::new(SimTasks {
                gate: self.gate.clone(),
                disk: self.disk.clone(),
                entropy,
                disk_sync: self.disk_sync,
                writes: Arc::default(),
                round_trips: self.round_trips.clone(),
            }),
            telemetry: Arc::new(SimTelemetry::new(
                self.name.clone(),
                self.recorder.clone(),
                self.counters.clone(),
            )),
            traces: Arc::new(self.path.on(self.name.clone(), self.recorder.clone())),
        }
    }
}
