//! The pulse of a simulation: which step it is in and whose task runs, readable from other threads,
//! so that a run that stands still can be told with the host at which it does.

use ports::entered;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// The pulse of a simulation, as one host has it; clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Pulse {
    beats: Arc<Beats>,
    /// The host's number, from 1.
    number: usize,
}

#[derive(Debug, Default)]
struct Beats {
    hosts: Mutex<Vec<Host>>,
    step: AtomicU64,
    polls: AtomicU64,
    /// The number of the host whose task runs; 0: none.
    running: AtomicUsize,
}

/// A host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Its name.
    pub name: Arc<str>,
    /// It is a node of the cluster; otherwise it carries users, which are a part of Fracas.
    pub is_node: bool,
}

/// A moment of a simulation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// Polls so far.
    pub polls: u64,
    /// The host whose task runs.
    pub running: Option<Host>,
}

impl Pulse {
    /// The pulse of one more host.
    pub fn of(&self, host: Host) -> Self {
        let mut hosts = entered(self.beats.hosts.lock());
        hosts.push(host);
        Self { beats: self.beats.clone(), number: hosts.len() }
    }

    /// The world takes another step.
    pub fn begin_step(&self) {
        self.beats.step.fetch_add(1, Ordering::Relaxed);
    }

    /// The step that the world is in.
    pub fn step(&self) -> u64 {
        self.beats.step.load(Ordering::Relaxed)
    }

    /// A task of this host begins to run. (Only the simulating thread writes.)
    pub fn runs(&self) {
        self.beats.polls.store(self.beats.polls.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        self.beats.running.store(self.number, Ordering::Relaxed);
    }

    /// It has given way again.
    pub fn has_run(&self) {
        self.beats.running.store(0, Ordering::Relaxed);
    }

    /// What is going on.
    pub fn moment(&self) -> Moment {
        let running = self.beats.running.load(Ordering::Relaxed).checked_sub(1);
        let polls = self.beats.polls.load(Ordering::Relaxed);
        let hosts = entered(self.beats.hosts.lock());
        Moment { polls, running: running.and_then(|index| hosts.get(index).cloned()) }
    }
}
