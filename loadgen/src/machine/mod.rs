//! The machine of users in a real run: sockets, the runtime, and a seeded stream of randomness.
//!
//! Users have no disk and send no numbers anywhere.

pub mod network;

use crate::limits::Limits;
use crate::machine::network::CountedNetwork;
use ports::{Disk, DiskFile, Entropy, Machine, Telemetry};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A machine on the current runtime, whose own failures to connect are counted.
pub fn machine(name: &str, seed: u64, limits: &Arc<Limits>) -> Machine {
    Machine {
        name: name.into(),
        network: Arc::new(CountedNetwork(limits.clone())),
        disk: Arc::new(NoDisk),
        clock: Arc::new(real::SystemClock),
        entropy: Arc::new(Seeded(AtomicU64::new(workload::plan::random::number(seed, name, 0)))),
        tasks: Arc::new(real::tasks::TokioTasks),
        telemetry: Arc::new(Nowhere),
    }
}

/// splitmix64 (Steele, Lea, Flood, OOPSLA 2014), shared by all tasks of the machine.
struct Seeded(AtomicU64);

impl Entropy for Seeded {
    fn next_u64(&self) -> u64 {
        let mut x = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
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
