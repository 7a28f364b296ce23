//! The machine of users in a real run: sockets, the runtime, and a seeded stream of randomness.
//!
//! Users have no disk and send no numbers anywhere.

pub mod network;

use crate::limits::Limits;
use crate::links::Through;
use crate::machine::network::CountedNetwork;
use ports::entropy::Seeded;
use ports::{Disk, DiskFile, Machine, NoTraces, Telemetry};
use real::tls::Trust;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

/// A machine on the current runtime, whose own failures to connect are counted.
pub fn machine(name: &str, seed: u64, limits: &Arc<Limits>) -> Machine {
    client(name, seed, limits, Way::default())
}

/// How gateways are reached.
#[derive(Clone, Debug, Default)]
pub struct Way {
    /// From where, if they are on this machine.
    pub source: Option<Ipv4Addr>,
    /// Whom to trust, if they are not in plaintext.
    pub trust: Option<Trust>,
    /// Where, if not at their own addresses.
    pub through: Through,
}

/// As `machine`; all that it connects to are gateways.
pub fn client(name: &str, seed: u64, limits: &Arc<Limits>, way: Way) -> Machine {
    Machine {
        name: name.into(),
        network: Arc::new(CountedNetwork { limits: limits.clone(), way }),
        disk: Arc::new(NoDisk),
        clock: Arc::new(real::SystemClock),
        entropy: Arc::new(Seeded::new(workload::plan::random::number(seed, name, 0))),
        tasks: Arc::new(real::tasks::TokioTasks),
        telemetry: Arc::new(Nowhere),
        traces: Arc::new(NoTraces),
    }
}

struct NoDisk;

fn no_disk<T>() -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "users have no disk"))
}

impl Disk for NoDisk {
    fn open(&self, _: &str) -> io::Result<Box<dyn DiskFile>> {
        no_disk()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        no_disk()
    }

    fn remove(&self, _: &str) -> io::Result<()> {
        no_disk()
    }

    fn sync_dir(&self) -> io::Result<()> {
        no_disk()
    }
}

struct Nowhere;

impl Telemetry for Nowhere {
    fn gauge(&self, _: &'static str, _: u64, _: u64) {}
    fn count(&self, _: &'static str, _: u64) {}
    fn time(&self, _: &'static str, _: Duration) {}
}
