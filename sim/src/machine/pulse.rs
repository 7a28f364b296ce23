//! The pulse of a simulation: which step it is in and whose task runs, readable from other threads,
//! so that a run that stands still can be told with the host at which it does.

use super::trace::{Kind, Trace};
use ports::entered;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// The pulse of a simulation, as one host has it; clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Pulse {
    beats: Arc<Beats>,
    /// The host's number, from 1.
    number: usize,
    trace: Trace,
}

#[derive(Debug, Default)]
struct Beats {
    traces: bool,
    hosts: Mutex<Vec<(Host, Trace)>>,
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
    /// The pulse of a simulation, with or without traces of its hosts.
    pub fn new(traces: bool) -> Self {
        Self { beats: Arc::new(Beats { traces, ..Beats::default() }), ..Self::default() }
    }

    /// The pulse of one more host.
    pub fn of(&self, host: Host) -> Self {
        let trace = Trace::new(self.beats.traces);
        let mut hosts = entered(self.beats.hosts.lock());
        hosts.push((host, trace.clone()));
        Self { beats: self.beats.clone(), number: hosts.len(), trace }
    }

    /// The trace of this host.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// What hosts did since the last call.
    pub fn news(&self) -> Vec<String> {
        if !self.beats.traces {
            return Vec::new();
        }
        let hosts = entered(self.beats.hosts.lock());
        let news = |(host, trace): &(Host, Trace)| Some(format!("{}{}", host.name, trace.news()?));
        hosts.iter().filter_map(news).collect()
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
    pub fn runs(&self, task: &str) {
        if self.trace.is_on() {
            let now = turmoil::sim_elapsed().unwrap_or_default();
            self.trace.number(Kind::Tasks, now.as_nanos() as u64);
            self.trace.bytes(Kind::Tasks, task.as_bytes());
        }
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
        Moment { polls, running: running.and_then(|index| Some(hosts.get(index)?.0.clone())) }
    }
}
