//! The real machine: sockets, a directory, threads, the system's clock and randomness.
//!
//! The one set of adapters of the operating system behind `ports`, for the nodes of a cluster and for
//! the users of a load test. It decides nothing.

pub mod descriptors;
pub mod disk;
pub mod metrics;
pub mod network;
pub mod panics;
pub mod read_only;
pub mod tasks;
pub mod telemetry;
pub mod tls;

pub use read_only::ReadOnlyDirectory;

use ports::{Entropy, Machine, Network, NoTraces, WallClock};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// The machine of a node that keeps its files in `directory` (made if it is missing), in plaintext.
pub fn machine(name: &str, directory: &Path) -> io::Result<Machine> {
    machine_on(Arc::new(network::TcpNetwork), name, directory)
}

/// The same on a network.
pub fn machine_on(network: Arc<dyn Network>, name: &str, directory: &Path) -> io::Result<Machine> {
    let name: Arc<str> = name.into();
    Ok(Machine {
        network,
        disk: Arc::new(disk::DirectoryDisk::open(directory)?),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        tasks: Arc::new(tasks::TokioTasks),
        telemetry: Arc::new(telemetry::PrometheusTelemetry::new(&name)),
        traces: Arc::new(NoTraces),
        name,
    })
}

/// The operating system's wall clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock;

impl WallClock for SystemClock {
    #[expect(clippy::disallowed_types, reason = "this is the adapter")]
    fn now_ms(&self) -> u64 {
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| since.as_millis() as u64)
    }
}

/// The operating system's randomness.
#[derive(Clone, Copy, Debug)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn next_u64(&self) -> u64 {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).expect("the operating system gives randomness");
        u64::from_le_bytes(bytes)
    }
}

/// CPU time of this process so far, user and system.
pub fn cpu_time() -> std::time::Duration {
    cpu_time_of(nix::sys::resource::UsageWho::RUSAGE_SELF)
}

/// CPU time of the child processes that have ended and were waited for.
pub fn children_cpu_time() -> std::time::Duration {
    cpu_time_of(nix::sys::resource::UsageWho::RUSAGE_CHILDREN)
}

fn cpu_time_of(who: nix::sys::resource::UsageWho) -> std::time::Duration {
    nix::sys::resource::getrusage(who)
        .map(|usage| {
            let micros = |time: nix::sys::time::TimeVal| {
                (time.tv_sec() * 1_000_000 + time.tv_usec()).unsigned_abs()
            };
            std::time::Duration::from_micros(
                micros(usage.user_time()) + micros(usage.system_time()),
            )
        })
        .unwrap_or_default()
}

/// Ends when the process is asked to end: Ctrl-C or SIGTERM.
pub async fn asked_to_end() -> io::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        biased;
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}
