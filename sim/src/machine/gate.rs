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
    closed: bool,
    /// Polls that were refused since the gate was closed: the effect of a pause.
    refused: u64,
    waiting: Vec<Waker>,
}

impl Gate {
    /// Stops the host.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.refused = 0;
    }

    /// Lets the host go on; how many polls were refused meanwhile.
    pub fn open(&self) -> u64 {
        let (waiting, refused) = {
            let mut state = self.lock();
            state.closed = false;
            (std::mem::take(&mut state.waiting), state.refused)
        };
        for waker in waiting {
            waker.wake();
        }
        refused
    }

    /// Whether the host is stopped.
    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// A future that is only polled while the gate is open.
    pub fn wrap(&self, task: BoxFuture<'static, ()>) -> Gated {
        Gated { gate: self.clone(), task }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
            if state.closed {
                state.refused += 1;
                state.waiting.push(context.waker().clone());
                return Poll::Pending;
            }
        }
        self.task.as_mut().poll(context)
    }
}
