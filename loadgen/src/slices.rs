//! Threads for slices of the users: each has a runtime, a table of open files, and a source address of
//! its own.
//!
//! The limit on open files counts each table, and a thread may have its own (`unshare(2)`,
//! `CLONE_FILES`, no privilege); the kernel finds a free port slowly, and in the end none, when tens of
//! thousands of connections lead from one address to one other. So users beyond either limit are a
//! matter of more slices. Threads are made before the run opens anything: a table is a copy, and what
//! is in it stays open as long as the thread lives.

use crate::limits::supply::Supply;
use crate::run::{Against, thread};
use nix::sched::{CloneFlags, unshare};
use scenarios::scenario::{Scenario, Transport};
use std::net::Ipv4Addr;
use std::sync::mpsc;
use tokio::runtime::Builder;
use tokio::sync::oneshot;

/// What tokens and changes of members need beside the sessions of a slice, at most: 32 requests at once
/// and 256 changes, and a reserve.
pub const AT_EASE: u64 = 512;
/// Connections from one address to one other, at most: beyond about so many the kernel connects a few
/// hundred in a second.
const TO_ONE_GATEWAY: u64 = 20_000;
/// Tasks between two looks at the sockets, as in a node.
const TURNS_MAX: u32 = 16;
/// As many source addresses as 127.1.0.0/16 and its neighbours have for slices: more than any run needs.
const MOST: u64 = 4_096;

/// How many slices a run has.
pub fn of(scenario: &Scenario, against: &Against, supply: &Supply) -> u64 {
    let sessions = match scenario.users.transport {
        Transport::Socket => sessions(scenario),
        // A few connections for each slice.
        Transport::Trunk => 0,
    };
    needed(sessions, against.gateways(scenario), supply, against.workers())
}

/// Sessions that the users will have.
pub fn sessions(scenario: &Scenario) -> u64 {
    let users = &scenario.users;
    let online = users.count - users.offline.min(users.count);
    u64::from(online) * u64::from(users.devices.max(1))
}

/// How many slices so many connections to so many gateways need, at least `least`.
fn needed(connections: u64, gateways: u64, supply: &Supply, least: u64) -> u64 {
    let files = supply.open_files.map_or(u64::MAX, |files| files.saturating_sub(AT_EASE).max(1));
    let ports = supply.ports.map_or(u64::MAX, |ports| ports.saturating_sub(AT_EASE).max(1));
    let to_each = connections.div_ceil(gateways.max(1));
    let by_ports = to_each.div_ceil(ports.min(TO_ONE_GATEWAY));
    connections.div_ceil(files).max(by_ports).clamp(least.min(MOST), MOST)
}

/// The address from which a slice connects to gateways on this machine.
pub const fn source(slice: usize) -> Ipv4Addr {
    let [high, low] = (slice as u16).to_be_bytes();
    Ipv4Addr::new(127, 1 + high, low, 1)
}

type Work = Box<dyn FnOnce(&tokio::runtime::Runtime) + Send>;

/// Threads that wait for their work.
pub struct Slices {
    threads: Vec<mpsc::Sender<Work>>,
    /// Threads that have no table of open files of their own.
    pub shared: usize,
}

impl Slices {
    /// So many threads.
    pub fn start(count: u64) -> Self {
        let mut slices = Self { threads: Vec::new(), shared: 0 };
        for _ in 0..count {
            let (sender, work) = mpsc::channel::<Work>();
            let (told, own) = mpsc::channel();
            thread("users", move || {
                let is_own = unshare(CloneFlags::CLONE_FILES).is_ok();
                let runtime =
                    Builder::new_current_thread().enable_all().event_interval(TURNS_MAX).build();
                // Whoever started the thread waits for this.
                let _ = told.send(is_own);
                let Ok(runtime) = runtime else { return };
                // Without work there is none to do: the run has ended before its users began.
                if let Ok(work) = work.recv() {
                    work(&runtime);
                }
            });
            slices.shared += usize::from(!own.recv().unwrap_or(false));
            slices.threads.push(sender);
        }
        slices
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.threads.len()
    }

    /// Runs the work of a slice on its thread; nothing comes back if that has died.
    pub fn run<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
        &self,
        slice: usize,
        work: F,
    ) -> oneshot::Receiver<T> {
        let (done, finished) = oneshot::channel();
        let work: Work = Box::new(move |runtime| {
            // Whoever waited may have lost patience.
            let _ = done.send(runtime.block_on(work));
        });
        // A thread that has died drops the work, and with it `done`.
        let _ = self.threads[slice].send(work);
        finished
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_slices_where_files_or_ports_are_few() {
        let supply = |open_files, ports| Supply {
            open_files: Some(open_files),
            ports: Some(ports),
            ..Supply::default()
        };
        let roomy = supply(1 << 20, 28_232);
        assert_eq!(needed(4_000, 2, &roomy, 1), 1);
        assert_eq!(needed(4_000, 2, &roomy, 3), 3);
        assert_eq!(needed(100_000, 5, &roomy, 1), 1);
        assert_eq!(needed(100_001, 5, &roomy, 1), 2);
        assert_eq!(needed(100_000, 50, &supply(20_000, 28_232), 1), 6);
        assert_eq!(needed(1_000_000, 50, &supply(20_000, 28_232), 1), 52);
        assert_eq!(needed(1_000, 1, &supply(20_000, 1_012), 1), 2);
        assert_eq!(needed(1_000, 1, &Supply::default(), 2), 2, "nothing is known");
        assert_eq!(
            (source(0), source(300)),
            ("127.1.0.1".parse().unwrap(), Ipv4Addr::new(127, 2, 44, 1))
        );
    }

    #[tokio::test]
    async fn a_slice_has_open_files_of_its_own() {
        let slices = Slices::start(2);
        assert_eq!((slices.len(), slices.shared), (2, 0));
        let opened = slices.run(0, async {
            std::fs::File::open("/dev/null").map(std::os::fd::IntoRawFd::into_raw_fd)
        });
        let descriptor = opened.await.unwrap().unwrap();
        let there = move || async move {
            std::fs::read_link(format!("/proc/thread-self/fd/{descriptor}")).ok()
        };
        let elsewhere = slices.run(1, there()).await.unwrap();
        assert_ne!(elsewhere.as_deref(), Some(std::path::Path::new("/dev/null")));
    }
}
