//! How far a process is that somebody may ask to end.

use ports::{Shutdown, ShutdownTrigger, entered};
use std::sync::{Arc, Mutex, MutexGuard};

/// Of the process that runs on a host. Clones are the same one.
#[derive(Clone, Default)]
pub struct Ending(Arc<Mutex<State>>);

#[derive(Default)]
enum State {
    /// It has not started.
    #[default]
    Nobody,
    /// Nobody has asked it to end.
    Runs(ShutdownTrigger),
    /// It was asked.
    Asked,
    /// It has ended as it was asked to.
    Ended,
}

impl Ending {
    /// A process starts.
    pub fn start(&self) -> Shutdown {
        let (trigger, shutdown) = Shutdown::new();
        *self.state() = State::Runs(trigger);
        shutdown
    }

    /// Asks it to end.
    pub fn ask(&self) {
        let mut state = self.state();
        if let State::Runs(trigger) = &*state {
            trigger.request();
            *state = State::Asked;
        }
    }

    /// It has ended without an error; whether it was asked to.
    pub fn end(&self) -> bool {
        let mut state = self.state();
        let asked = matches!(*state, State::Asked);
        if asked {
            *state = State::Ended;
        }
        asked
    }

    /// Whether it was asked, and has not ended yet.
    pub fn is_asked(&self) -> bool {
        matches!(*self.state(), State::Asked)
    }

    /// Whether it has ended as it was asked to.
    pub fn has_ended(&self) -> bool {
        matches!(*self.state(), State::Ended)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        entered(self.0.lock())
    }
}
