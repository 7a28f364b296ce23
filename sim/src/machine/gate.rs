//! The gate through which every task of a host is polled: closed, the process is stopped; broken, it
//! is dead.
//!
//! Closed: timers go on and fire, packets arrive in the socket buffers, but no task runs: what SIGSTOP,
//! a long garbage collection or a migrated virtual machine do to a process. On opening, everything that
//! was woken meanwhile runs, with the clock far ahead of what it expected.
//!
//! Broken: a task has panicked, or the tasks of the host keep each other busy without ever waiting for
//! time, which stops the world. Nothing of the host runs any more, so nobody goes on with half a
//! mutation; who keeps the gate tells the world.

use super::pulse::Pulse;
use crate::panics;
use ports::BoxFuture;
use ports::entered;
use ports::panics::Panicked;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

/// Polls of one host's tasks within one step of the simulation beyond which they spin. The busiest
/// host that was seen, 100,000 sessions that all wake up at once, needs less than a tenth.
pub const POLLS_MAX: u64 = 20_000_000;

/// Is told how a host broke.
pub type Keeper = Arc<dyn Fn(Panicked) + Send + Sync>;

/// A host's gate; clones are the same gate.
#[derive(Clone)]
pub struct Gate(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    pulse: Pulse,
    keeper: Keeper,
}

#[derive(Debug, Default)]
struct State {
    pauses: Vec<Pause>,
    has_been_closed: bool,
    broken: bool,
    waiting: Vec<Waker>,
    /// The step of the simulation, and the polls in it.
    step: u64,
    polls: u64,
}

#[derive(Debug)]
struct Pause {
    fault: u32,
    /// It stops the process; one that was restarted since is not stopped any more.
    stops: bool,
    /// Polls that were refused: the effect of the pause.
    refused: u64,
}

impl Gate {
    /// An open gate.
    pub fn new(pulse: Pulse, keeper: Keeper) -> Self {
        Self(Arc::new(Inner { state: Mutex::default(), pulse, keeper }))
    }

    /// A fault stops the host.
    pub fn close(&self, fault: u32) {
        let mut state = self.lock();
        state.pauses.push(Pause { fault, stops: true, refused: 0 });
        state.has_been_closed = true;
    }

    /// A fault lets the host go on, if no other one stops it; how many polls were refused because of it.
    pub fn open(&self, fault: u32) -> u64 {
        let mut state = self.lock();
        let ended = state.pauses.iter().filter(|pause| pause.fault == fault);
        let refused = ended.map(|pause| pause.refused).sum();
        state.pauses.retain(|pause| pause.fault != fault);
        wake(state);
        refused
    }

    /// A new process: whatever stopped the last one does not stop it.
    pub fn restart(&self) {
        let mut state = self.lock();
        state.pauses.iter_mut().for_each(|pause| pause.stops = false);
        wake(state);
    }

    /// Whether the host answers something that none of its tasks is asked for. To refuse it is an effect of
    /// what stops the host.
    pub fn answers(&self) -> bool {
        let mut state = self.lock();
        // An open gate has nothing that could refuse.
        state.refuse();
        !state.is_closed()
    }

    /// Whether the host has ever been stopped.
    pub fn has_been_closed(&self) -> bool {
        self.lock().has_been_closed
    }

    /// A future that is only polled while the gate is open.
    pub fn wrap(&self, name: &'static str, task: BoxFuture<'static, ()>) -> Gated {
        Gated { gate: self.clone(), name, task }
    }

    /// Whether a task may be polled now.
    fn admits(&self, name: &'static str, context: &Context<'_>) -> bool {
        let mut state = self.lock();
        if state.broken {
            return false;
        }
        if state.is_closed() {
            state.refuse();
            state.waiting.push(context.waker().clone());
            return false;
        }
        let step = self.0.pulse.step();
        if state.step != step {
            (state.step, state.polls) = (step, 0);
        }
        state.polls += 1;
        if state.polls <= POLLS_MAX {
            return true;
        }
        drop(state);
        self.breaks(Panicked {
            message: format!(
                "it spins: its tasks ran {POLLS_MAX} times at one instant of simulated time"
            ),
            place: format!("task {name}"),
        });
        false
    }

    fn breaks(&self, panicked: Panicked) {
        self.lock().broken = true;
        (self.0.keeper)(panicked);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        entered(self.0.state.lock())
    }
}

impl State {
    fn is_closed(&self) -> bool {
        self.pauses.iter().any(|pause| pause.stops)
    }

    fn refuse(&mut self) {
        self.pauses.iter_mut().for_each(|pause| pause.refused += u64::from(pause.stops));
    }
}

/// Wakes what waits, outside of the lock, if nothing stops the host any more.
fn wake(mut state: MutexGuard<'_, State>) {
    let open = !state.is_closed();
    let waiting = if open { std::mem::take(&mut state.waiting) } else { Vec::new() };
    drop(state);
    for waker in waiting {
        waker.wake();
    }
}

/// A task behind a gate.
pub struct Gated {
    gate: Gate,
    name: &'static str,
    task: BoxFuture<'static, ()>,
}

impl Future for Gated {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if !self.gate.admits(self.name, context) {
            return Poll::Pending;
        }
        self.gate.0.pulse.runs(self.name);
        let polled = panics::caught(|| self.task.as_mut().poll(context));
        self.gate.0.pulse.has_run();
        polled.unwrap_or_else(|panicked| {
            self.gate.breaks(panicked);
            Poll::Pending
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::pulse::Host;

    struct Bench {
        gate: Gate,
        world: Pulse,
        told: Arc<Mutex<Vec<Panicked>>>,
    }

    fn bench() -> Bench {
        panics::enter();
        let world = Pulse::default();
        let told = Arc::new(Mutex::new(Vec::new()));
        let keeper = told.clone();
        let host = Host { name: "store-1".into(), is_node: true };
        let gate = Gate::new(
            world.of(host),
            Arc::new(move |panicked| keeper.lock().unwrap().push(panicked)),
        );
        Bench { gate, world, told }
    }

    fn poll(task: &mut Gated) -> Poll<()> {
        Pin::new(task).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn after_a_panic_nothing_of_the_host_runs() {
        let Bench { gate, told, .. } = bench();
        let mut first = gate.wrap("first", Box::pin(async { panic!("odd: {}", 3) }));
        let mut second = gate.wrap("second", Box::pin(async {}));
        assert_eq!(poll(&mut first), Poll::Pending);
        assert_eq!(poll(&mut first), Poll::Pending);
        assert_eq!(poll(&mut second), Poll::Pending);
        let told = told.lock().unwrap();
        let [Panicked { message, place }] = &told[..] else { panic!("{told:?}") };
        assert_eq!(message, "odd: 3");
        assert!(place.starts_with("sim/src/machine/gate.rs:"), "{place}");
    }

    #[test]
    fn a_host_may_be_busy_but_not_without_end() {
        let Bench { gate, world, told } = bench();
        gate.lock().polls = POLLS_MAX - 1;
        let mut task = gate.wrap("busy", Box::pin(std::future::pending()));
        assert_eq!(poll(&mut task), Poll::Pending);
        world.begin_step();
        assert_eq!(poll(&mut task), Poll::Pending);
        assert_eq!(*told.lock().unwrap(), []);
        gate.lock().polls = POLLS_MAX;
        assert_eq!(poll(&mut task), Poll::Pending);
        assert_eq!(poll(&mut task), Poll::Pending);
        let told = told.lock().unwrap();
        let [Panicked { message, place }] = &told[..] else { panic!("{told:?}") };
        assert!(message.starts_with("it spins"), "{message}");
        assert_eq!(place, "task busy");
    }

    fn runs(task: &mut Gated) -> bool {
        poll(task).is_ready()
    }

    #[test]
    fn the_end_of_one_pause_does_not_end_another() {
        let Bench { gate, .. } = bench();
        let mut task = gate.wrap("task", Box::pin(std::future::ready(())));
        gate.close(1);
        assert!(!runs(&mut task));
        gate.close(2);
        assert!(!runs(&mut task));
        assert_eq!(gate.open(1), 2);
        assert!(!runs(&mut task), "the second pause stops it still");
        assert_eq!(gate.open(2), 2);
        assert!(runs(&mut task));
    }

    #[test]
    fn a_restarted_process_is_not_stopped_but_the_next_pause_stops_it() {
        let Bench { gate, .. } = bench();
        let mut task = gate.wrap("task", Box::pin(std::future::ready(())));
        gate.close(1);
        assert!(!runs(&mut task));
        gate.restart();
        gate.close(2);
        assert!(!runs(&mut task));
        assert_eq!(gate.open(1), 1, "the restart has ended it");
        assert!(!runs(&mut task));
        gate.open(2);
        assert!(runs(&mut task));
    }
}
