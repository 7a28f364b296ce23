//! The machine of users in a real run: sockets, the runtime, and a seeded stream of randomness.
//!
//! Users have no disk and send no numbers anywhere.

pub mod network;

use crate::limits::Limits;
use crate::machine::network::TcpNetwork;
use ports::tasks::Job;
use ports::{BoxFuture, Disk, DiskFile, Entropy, Machine, Tasks, Telemetry, WallClock, Worker};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

/// A machine on the current runtime, whose own failures to connect are counted.
pub fn machine(name: &str, seed: u64, limits: &Arc<Limits>) -> Machine {
    Machine {
        name: name.into(),
        network: Arc::new(TcpNetwork(limits.clone())),
        disk: Arc::new(NoDisk),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(Seeded(AtomicU64::new(workload::plan::random::number(seed, name, 0)))),
        tasks: Arc::new(Runtime(Handle::current())),
        telemetry: Arc::new(Nowhere),
    }
}

struct Runtime(Handle);

impl Tasks for Runtime {
    fn spawn(&self, _: &'static str, task: BoxFuture<'static, ()>) -> AbortHandle {
        self.0.spawn(task).abort_handle()
    }

    fn wrap(&self, task: BoxFuture<'static, ()>) -> BoxFuture<'static, ()> {
        task
    }

    fn worker(&self, _: &'static str) -> Arc<dyn Worker> {
        Arc::new(InLine)
    }
}

/// Users have nothing that blocks; a job is run where it is asked for.
struct InLine;

impl Worker for InLine {
    fn run(&self, job: Job) -> BoxFuture<'static, ()> {
        job();
        Box::pin(std::future::ready(()))
    }
}

struct SystemClock;

impl WallClock for SystemClock {
    #[expect(clippy::disallowed_types, reason = "this is the adapter behind the port")]
    fn now_ms(&self) -> u64 {
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| since.as_millis() as u64)
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
