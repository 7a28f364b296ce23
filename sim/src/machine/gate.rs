//! The gate through which every task of a host is polled: closed, the process is stopped.
//!
//! Timers go on and fire, packets arrive in the socket buffers, but no task runs: what SIGSTOP, a long
//! garbage collection or a migrated virtual machine do to a process. On opening, everything that was
//! woken meanwhile runs, with the clock far ahead of what it expected.

use ports::BoxFuture;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// A host's gate; clones are the same gate.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    pauses: Vec<Pause>,
    has_been_closed: bool,
    waiting: Vec<Waker>,
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

    /// Whether the host has ever been stopped.
    pub fn has_been_closed(&self) -> bool {
        self.lock().has_been_closed
    }

    /// A future that is only polled while the gate is open.
    pub fn wrap(&self, task: BoxFuture<'static, ()>) -> Gated {
        Gated { gate: self.clone(), task }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_closed(&self) -> bool {
        self.pauses.iter().any(|pause| pause.stops)
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
    task: BoxFuture<'static, ()>,
}

impl Future for Gated {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        {
            let mut state = self.gate.lock();
            if state.is_closed() {
                state.pauses.iter_mut().for_each(|pause| pause.refused += u64::from(pause.stops));
                state.waiting.push(context.waker().clone());
                return Poll::Pending;
            }
        }
        self.task.as_mut().poll(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(task: &mut Gated) -> bool {
        Pin::new(task).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn the_end_of_one_pause_does_not_end_another() {
        let gate = Gate::default();
        let mut task = gate.wrap(Box::pin(std::future::ready(())));
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
        let gate = Gate::default();
        let mut task = gate.wrap(Box::pin(std::future::ready(())));
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
