//! Where everything that happens in a run is written down, in the order in which it happened.

use crate::machine::path::Path;
use crate::machine::pulse::Host;
use ports::entered;
use ports::panics::Panicked;
use protocol::{DeviceId, GatewayId, UserId};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use verify::history::event::Phase;
use verify::history::{Event, What};
use workload::Recorder;

/// The device that `gateway(user=7)` means.
const FIRST: DeviceId = DeviceId(1);

/// Takes the events of a run.
pub type Sink = Box<dyn FnMut(&Event) + Send>;

/// Takes the lines of a trace.
pub type TraceSink = Box<dyn FnMut(&str) + Send>;

/// Whose fault it is if what is no part of the cluster panics.
pub const OWN_BUG: &str = "which is a bug in Fracas and not in the cluster";

/// The journal of one run; clones are the same journal.
#[derive(Clone)]
pub struct Journal(Arc<Mutex<State>>, Path);

struct State {
    sink: Sink,
    last_us: u64,
    world_us: u64,
    events: u64,
    gateways: Vec<Option<GatewayId>>,
    failures: Vec<String>,
    notes: Vec<String>,
    broken: Option<String>,
}

impl Journal {
    /// An empty journal for this many users.
    pub fn new(users: u32, sink: Sink) -> Self {
        Self::following(users, sink, Path::default())
    }

    /// The same, with messages that are followed.
    pub fn following(users: u32, sink: Sink, path: Path) -> Self {
        let state = Mutex::new(State {
            sink,
            last_us: 0,
            world_us: 0,
            events: 0,
            gateways: vec![None; users as usize + 1],
            failures: Vec::new(),
            notes: Vec::new(),
            broken: None,
        });
        Self(Arc::new(state), path)
    }

    /// The messages that are followed.
    pub fn path(&self) -> Path {
        self.1.clone()
    }

    /// The simulated time outside of hosts.
    pub fn set_world_time(&self, now: Duration) {
        self.lock().world_us = now.as_micros() as u64;
    }

    /// Something that the world did.
    pub fn record_world(&self, what: What) {
        let mut state = self.lock();
        let now = state.world_us;
        state.write(now, what);
    }

    /// A process ended in a way that it should not.
    pub fn failed(&self, what: String) {
        self.lock().failures.push(what);
    }

    /// Nothing of a host runs any more: it panicked, or it spins. That is the cluster's fault, or that
    /// of Fracas itself; in either case the run ends.
    pub fn broke(&self, host: &Host, panicked: &Panicked) {
        let Host { name, is_node } = host;
        let Panicked { message, place } = panicked;
        tracing::error!(host = &**name, %place, "panicked: {message}");
        if *is_node {
            let (message, place) = (message.as_str().into(), place.as_str().into());
            self.record(What::NodePanicked { node: name.clone(), message, place });
        } else {
            self.failed(format!("{name} panicked, {OWN_BUG}: {message} ({place})"));
        }
        self.lock().broken.get_or_insert_with(|| format!("{name} panicked"));
    }

    /// The last events of a run that cannot write them itself.
    pub fn end(&self, why: &str) {
        self.record_world(What::Stopped { why: why.into() });
        self.record_world(What::Phase(Phase::End));
    }

    /// Which host broke, if one did.
    pub fn broken(&self) -> Option<String> {
        self.lock().broken.clone()
    }

    /// What failed so far.
    pub fn failures(&self) -> Vec<String> {
        self.lock().failures.clone()
    }

    /// Something that a reader should know, and that makes nothing doubtful.
    pub fn note(&self, what: String) {
        self.lock().notes.push(what);
    }

    /// What was noted so far.
    pub fn notes(&self) -> Vec<String> {
        self.lock().notes.clone()
    }

    /// How many events were written.
    pub fn events(&self) -> u64 {
        self.lock().events
    }

    /// The gateway of the newest session of a user's first device, which may be over.
    pub fn gateway_of(&self, user: UserId) -> Option<GatewayId> {
        self.lock().gateways.get(user.0 as usize).copied().flatten()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        entered(self.0.lock())
    }
}

impl State {
    /// Hosts run one after another within a step, so their clocks overlap by up to one tick: an event
    /// never gets an earlier time than the one before it.
    fn write(&mut self, now_us: u64, is: What) {
        if let What::Opened { device, gateway, .. } = &is
            && device.device == FIRST
            && let Some(known) = self.gateways.get_mut(device.user.0 as usize)
        {
            *known = Some(*gateway);
        }
        self.last_us = self.last_us.max(now_us);
        self.events += 1;
        (self.sink)(&Event { at: self.last_us, is });
    }
}

impl Recorder for Journal {
    fn record(&self, what: What) {
        let now = self.now_us();
        self.lock().write(now, what);
    }

    fn now_us(&self) -> u64 {
        turmoil::sim_elapsed().map_or_else(|| self.lock().world_us, |now| now.as_micros() as u64)
    }
}
