//! Threads for slices of the users: each has a runtime, a table of open files, and a source address of
//! its own.
//!
//! The limit on open files counts each table, and a thread may have its own (`unshare(2)`,
//! `CLONE_FILES`, no privilege; containers forbid it by default, and one table must do then); the kernel finds a free port slowly, and in the end none, when tens of
//! thousands of connections lead from one address to one other. So users beyond either limit are a
//! matter of more slices. Threads are made before the run opens anything: a table is a copy, and what
//! is in it stays open as long as the thread lives.
//!
//! **No waker crosses the border.** A runtime is woken through a descriptor, and the number of a descriptor
//! means another file in another table: a wake from outside would write into whatever has that number
//! there. So a slice looks for the phase by itself, its result is looked for, and no signal is handled on
//! its thread. What both sides share must not wait for each other by anything but locks and the channels
//! of the standard library.

use crate::limits::supply::Supply;
use crate::run::{Against, thread};
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::SigSet;
use protocol::UserId;
use scenarios::CLIENT_HOSTS;
use scenarios::scenario::{Scenario, Transport};
use std::convert::Infallible;
use std::io;
use std::net::Ipv4Addr;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use verify::history::event::Phase;
use workload::plan::Plan;

/// What tokens and changes of members need beside the sessions of a slice, at most: 32 requests at once
/// and 256 changes, and a reserve.
pub const AT_EASE: u64 = 512;
/// Connections from one address to one other, at most: beyond about so many the kernel connects a few
/// hundred in a second.
const TO_ONE_GATEWAY: u64 = 20_000;
/// Tasks between two looks at the sockets, as in a node.
const TURNS_MAX: u32 = 16;
/// The name of their threads.
pub const THREAD: &str = "users";
/// As many source addresses as 127.1.0.0/16 and its neighbours have for slices: more than any run needs.
const MOST: u64 = 4_096;

/// Which of the users one generator drives: a range, as a slice is one of its ranges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Its number, from 0.
    pub number: u32,
    /// Of so many.
    pub of: u32,
    /// So many of them are on this machine.
    pub here: u32,
}

impl Share {
    /// All of them.
    pub const WHOLE: Self = Self { number: 0, of: 1, here: 1 };

    /// Its users. The last ones of all, who never connect, are nobody's burden.
    pub fn of_users(self, plan: &Plan) -> Range<u32> {
        let users = plan.users();
        let online = users.clone().take_while(|user| !plan.is_offline(UserId((*user).into())));
        let end = users.start + online.count() as u32;
        let mut shares = parts(users.start..end, self.of);
        let share = shares.nth(self.number as usize).unwrap_or(end..end);
        let is_last = self.number + 1 == self.of;
        if is_last { share.start..users.end } else { share }
    }

    /// The numbers of its slices, from 0 on, among those of all generators.
    pub fn slices(self) -> impl Iterator<Item = usize> {
        (self.number as usize..).step_by(self.of as usize)
    }
}

/// How many slices a run has.
pub fn of(scenario: &Scenario, against: &Against, supply: &Supply, share: Share) -> u64 {
    let sessions = match scenario.users.transport {
        Transport::Socket => sessions(scenario).div_ceil(u64::from(share.of)),
        // A few connections for each slice.
        Transport::Trunk => 0,
    };
    let needed = needed(sessions, against.gateways(scenario), supply, against.workers(share));
    // A slice whose links may be hit is part of one host.
    if against.reach(share).may_hit_users(scenario) {
        needed.next_multiple_of(CLIENT_HOSTS.into())
    } else {
        needed
    }
}

/// Sessions that the users will have.
pub fn sessions(scenario: &Scenario) -> u64 {
    let users = &scenario.users;
    let online = users.count - users.offline.min(users.count);
    u64::from(online) * u64::from(users.devices.max(1))
}

/// Whether one table of open files is enough for all slices of a run together.
pub fn fit_one_table(scenario: &Scenario, supply: &Supply, share: Share) -> bool {
    let connections = match scenario.users.transport {
        Transport::Socket => sessions(scenario).div_ceil(u64::from(share.of)),
        Transport::Trunk => 0,
    };
    connections <= room(supply.open_files)
}

/// For how many sessions there is room in so much of something. With little of it half must do for
/// everything else.
fn room(there: Option<u64>) -> u64 {
    there.map_or(u64::MAX, |there| there.saturating_sub(AT_EASE).max(there / 2).max(1))
}

/// How many slices so many connections to so many gateways need, at least `least`.
fn needed(connections: u64, gateways: u64, supply: &Supply, least: u64) -> u64 {
    let (files, ports) = (room(supply.open_files), room(supply.ports));
    let to_each = connections.div_ceil(gateways.max(1));
    let by_ports = to_each.div_ceil(ports.min(TO_ONE_GATEWAY));
    connections.div_ceil(files).max(by_ports).clamp(least.min(MOST), MOST)
}

/// The users in so many parts of about the same size.
pub fn parts(users: Range<u32>, parts: u32) -> impl Iterator<Item = Range<u32>> {
    let count = u64::from(users.end - users.start);
    let bound = move |part: u32| users.start + (count * u64::from(part) / u64::from(parts)) as u32;
    (0..parts).map(move |part| bound(part)..bound(part + 1)).filter(|slice| !slice.is_empty())
}

/// The address from which a slice connects to gateways on this machine.
pub const fn source(slice: usize) -> Ipv4Addr {
    let [high, low] = (slice as u16).to_be_bytes();
    Ipv4Addr::new(127, 1 + high, low, 1)
}

/// What its users have not seen from then on nobody knows: the run ends.
pub const DIED: &str = "a slice of the users failed: a bug in Fracas";

/// Tells of a panic that it is dropped by.
pub struct Dies(pub Arc<AtomicBool>);

impl Drop for Dies {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

/// Ends when a slice has told so.
pub async fn died(told: Arc<AtomicBool>) {
    while !told.load(Ordering::Relaxed) {
        sleep(LOOK).await;
    }
}

/// Between two looks over the border.
const LOOK: Duration = Duration::from_millis(10);

type Work = Box<dyn FnOnce(&Runtime) + Send>;

/// Threads that wait for their work.
pub struct Slices {
    threads: Vec<Sender<Work>>,
    phase: Arc<Mutex<Phase>>,
}

impl Slices {
    /// So many threads; an error if one may not have a table of open files of its own, and `one_table` is not
    /// enough for all of them.
    pub fn start(count: u64, one_table: bool) -> io::Result<Self> {
        // The first runtime of a process makes descriptors that all others use under the same numbers
        // (tokio's signals): they must be there before a table is copied.
        runtime()?.shutdown_background();
        let mut threads = Vec::new();
        for _ in 0..count {
            let (sender, work) = channel::<Work>();
            let (told, ready) = channel();
            thread(THREAD, move || {
                let runtime = own_table(one_table).and_then(|()| runtime());
                // Whoever started the thread waits for this.
                let failed = |error: &io::Error| io::Error::new(error.kind(), error.to_string());
                let _ = told.send(runtime.as_ref().map(drop).map_err(failed));
                // Without work there is none to do: the run has ended before its users began.
                if let (Ok(runtime), Ok(work)) = (runtime, work.recv()) {
                    work(&runtime);
                }
            });
            ready.recv().unwrap_or_else(|_| Err(io::Error::other("the thread has died")))?;
            threads.push(sender);
        }
        Ok(Self { threads, phase: Arc::new(Mutex::new(Phase::SetUp)) })
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.threads.len()
    }

    /// The phase that all slices find the next time they look.
    pub fn enter(&self, phase: Phase) {
        *self.phase.lock().expect("no holder panics") = phase;
    }

    /// Runs the work of a slice on its thread. It learns of the phases from a channel. What it returns is to
    /// be looked for: nobody is woken.
    pub fn run<T: Send + 'static, F: Future<Output = T>>(
        &self,
        slice: usize,
        work: impl FnOnce(watch::Receiver<Phase>) -> F + Send + 'static,
    ) -> Receiver<T> {
        let (done, finished) = channel();
        let phase = self.phase.clone();
        let work: Work = Box::new(move |runtime| {
            let (sender, phases) = watch::channel(Phase::SetUp);
            let outcome = runtime.block_on(async {
                tokio::select! {
                    biased;
                    outcome = work(phases) => outcome,
                    never = follow(&phase, &sender) => match never {},
                }
            });
            // Whoever waited may have lost patience.
            let _ = done.send(outcome);
        });
        // A thread that has died drops the work, and with it `done`.
        let _ = self.threads[slice].send(work);
        finished
    }
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().event_interval(TURNS_MAX).build()
}

/// What comes from a slice, until a deadline.
pub async fn outcome<T>(from: &Receiver<T>, deadline: Instant) -> Result<T, TryRecvError> {
    loop {
        match from.try_recv() {
            Err(TryRecvError::Empty) if Instant::now() < deadline => sleep(LOOK).await,
            outcome => return outcome,
        }
    }
}

/// Gives the calling thread a table of open files of its own, and keeps signals from it: their handlers
/// write into descriptors. Where that is forbidden, it may share the one that is there.
fn own_table(may_share: bool) -> io::Result<()> {
    SigSet::all().thread_block()?;
    match unshare(CloneFlags::CLONE_FILES) {
        Err(Errno::EPERM) if may_share => Ok(()),
        Err(Errno::EPERM) => Err(io::Error::other(
            "the users need more open files than one process may have, and this one may not give its \
             threads tables of their own (unshare is forbidden, as in a container by default): raise the \
             limit on open files, or share the load between several generators",
        )),
        done => Ok(done?),
    }
}

/// Tells the phases, a little after they have begun.
async fn follow(phase: &Mutex<Phase>, phases: &watch::Sender<Phase>) -> Infallible {
    loop {
        let now = *phase.lock().expect("no holder panics");
        phases.send_if_modified(|phase| std::mem::replace(phase, now) != now);
        sleep(LOOK).await;
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
        assert_eq!(needed(400, 1, &supply(20_000, 150), 1), 6);
        assert_eq!(needed(1_000, 1, &Supply::default(), 2), 2, "nothing is known");
        assert_eq!(needed(100, 1, &supply(90, 28_232), 1), 3);
        assert_eq!(
            (source(0), source(300)),
            ("127.1.0.1".parse().unwrap(), Ipv4Addr::new(127, 2, 44, 1))
        );
    }

    #[test]
    fn one_table_is_enough_for_few() {
        let supply = |open_files| Supply { open_files, ..Supply::default() };
        let scenario = crate::fixture::scenario(31, 10, 4);
        let of = |number, of| Share { number, of, here: of };
        assert!(fit_one_table(&scenario, &supply(Some(20_000)), Share::WHOLE));
        assert!(!fit_one_table(&scenario, &supply(Some(90)), Share::WHOLE), "60 sessions");
        assert!(fit_one_table(&scenario, &supply(Some(90)), of(0, 2)), "30 each");
        assert!(fit_one_table(&scenario, &supply(None), Share::WHOLE), "nothing is known");
    }

    #[test]
    fn parts_cover_everybody_once() {
        for users in [1, 2, 3, 4, 5, 30, 1_001] {
            let all: Vec<u32> = parts(1..users + 1, 4).flatten().collect();
            assert_eq!(all, (1..=users).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_slice_has_open_files_of_its_own() {
        let slices = Slices::start(2, false).expect("no privilege is needed");
        let opened = slices.run(0, |_| async {
            let file = std::fs::File::open("/dev/null").expect("everybody may");
            std::os::fd::IntoRawFd::into_raw_fd(file)
        });
        let descriptor = opened.recv().expect("it was opened");
        let elsewhere = slices.run(1, move |_| async move {
            std::fs::read_link(format!("/proc/thread-self/fd/{descriptor}")).ok()
        });
        let elsewhere = elsewhere.recv().expect("somebody looked");
        assert_ne!(elsewhere.as_deref(), Some(std::path::Path::new("/dev/null")));
    }

    #[tokio::test]
    async fn slices_are_started_from_within_a_runtime() {
        let slices = Slices::start(2, false).expect("no privilege is needed");
        let done = slices.run(1, |_| async { 7 });
        let soon = Instant::now() + Duration::from_secs(9);
        assert_eq!(outcome(&done, soon).await, Ok(7));
    }

    #[test]
    fn a_slice_hears_of_the_phases() {
        let slices = Slices::start(1, false).expect("no privilege is needed");
        let heard = slices.run(0, |mut phases| async move {
            phases.wait_for(|phase| *phase == Phase::Heal).await.map(|phase| *phase).ok()
        });
        for phase in [Phase::WarmUp, Phase::Load, Phase::Heal] {
            std::thread::sleep(LOOK * 3);
            assert!(heard.try_recv().is_err());
            slices.enter(phase);
        }
        assert_eq!(heard.recv(), Ok(Some(Phase::Heal)));
    }
}
