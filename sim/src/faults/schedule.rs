//! The schedule of one run, worked off as simulated time passes: when each fault begins and ends.

use super::{Active, Stage};
use scenarios::faults::target::Directory;
use scenarios::faults::{Injection, PlannedFault};
use scenarios::scenario::FaultKind;
use std::sync::Arc;
use std::time::Duration;
use verify::history::What;

/// The faults of one run.
pub struct Schedule {
    /// Not begun, the next one last.
    waiting: Vec<Due>,
    active: Vec<Running>,
}

/// A fault that is to begin.
pub enum Due {
    /// Whom it hits is found out when it begins.
    Planned(PlannedFault),
    /// It hits whom it hit in another run.
    Recorded(Injection),
}

impl Due {
    /// The order of the beginnings.
    fn key(&self) -> (Duration, u32) {
        match self {
            Self::Planned(fault) => (fault.at, fault.id),
            Self::Recorded(fault) => (fault.at, fault.id),
        }
    }
}

struct Running {
    fault: Active,
    begun: Duration,
    ends: Duration,
    next_change: Option<Duration>,
}

impl Schedule {
    /// These faults.
    pub fn new(mut waiting: Vec<Due>) -> Self {
        waiting.sort_by_key(|due| std::cmp::Reverse(due.key()));
        Self { waiting, active: Vec::new() }
    }

    /// Works off what is due. `loaded` is how long the load has been going on.
    pub fn advance(
        &mut self,
        stage: &mut Stage<'_, '_>,
        directory: &Directory<'_>,
        loaded: Duration,
        record: &dyn Fn(What),
    ) {
        self.change(stage, loaded);
        self.end(stage, loaded, record);
        while self.waiting.last().is_some_and(|due| due.key().0 <= loaded) {
            if let Some(due) = self.waiting.pop() {
                self.begin(due, stage, directory, loaded, record);
            }
        }
    }

    /// The load is over: what is active ends now, what is waiting never begins.
    pub fn end_all(&mut self, stage: &mut Stage<'_, '_>, record: &dyn Fn(What)) {
        self.waiting.clear();
        self.end(stage, Duration::MAX, record);
    }

    fn begin(
        &mut self,
        due: Due,
        stage: &mut Stage<'_, '_>,
        directory: &Directory<'_>,
        loaded: Duration,
        record: &dyn Fn(What),
    ) {
        let injection = match due {
            Due::Planned(fault) => {
                let running = running(stage, directory.hosts.iter());
                directory.injection(fault, stage.seed, &running)
            }
            Due::Recorded(mut injection) => {
                // A recording that somebody edits may name nodes that are not there.
                let known = |node: &Arc<str>| directory.hosts.contains(node);
                injection.links.retain(|(from, to)| known(from) && known(to));
                injection
            }
        };
        let hosts = befallen(&injection, stage, directory);
        // All hosts that an episode may befall may be down already: then it does not happen. Users are never down.
        let is_nobodys = hosts.is_empty() && injection.links.is_empty();
        if injection.drawn && is_nobodys && injection.kind.of_users().is_none() {
            return;
        }
        let injected = Arc::new(injection.recorded());
        let target = injection.described(&hosts).into();
        let Injection { id, lasts, kind, drawn, links: pairs, .. } = injection;
        let mut active = Active { id, kind, hosts, pairs, effect: 0, down: Vec::new() };
        record(What::FaultBegan {
            fault: id,
            kind: active.kind.word().into(),
            target,
            drawn,
            injected: Some(injected),
        });
        active.begin(stage);
        let next_change = active.next_change(loaded, loaded);
        let ends = loaded + lasts;
        self.active.push(Running { fault: active, begun: loaded, ends, next_change });
    }

    fn change(&mut self, stage: &mut Stage<'_, '_>, loaded: Duration) {
        // A flapping link counts in the time of the load.
        let now = std::mem::replace(&mut stage.now, loaded);
        for running in &mut self.active {
            if running.next_change.is_some_and(|at| at <= loaded && loaded < running.ends) {
                running.fault.change(stage, running.begun);
                running.next_change = running.fault.next_change(running.begun, loaded);
            }
        }
        stage.now = now;
    }

    fn end(&mut self, stage: &mut Stage<'_, '_>, loaded: Duration, record: &dyn Fn(What)) {
        let (over, active) = std::mem::take(&mut self.active)
            .into_iter()
            .partition(|running: &Running| running.ends <= loaded);
        self.active = active;
        for mut running in over {
            running.fault.end(stage);
            let Active { id: fault, effect, .. } = running.fault;
            record(What::FaultEnded { fault, effect });
        }
    }
}

/// The hosts that a fault really hits, now.
fn befallen(
    injection: &Injection,
    stage: &mut Stage<'_, '_>,
    directory: &Directory<'_>,
) -> Vec<Arc<str>> {
    let known = injection.nodes.iter().filter(|node| directory.hosts.contains(node));
    match injection.kind {
        FaultKind::Kill { .. }
        | FaultKind::PowerLoss { .. }
        | FaultKind::Drain { .. }
        | FaultKind::Pause { .. } => running(stage, known),
        _ => known.cloned().collect(),
    }
}

fn running<'a>(
    stage: &mut Stage<'_, '_>,
    hosts: impl Iterator<Item = &'a Arc<str>>,
) -> Vec<Arc<str>> {
    hosts.filter(|host| stage.sim.is_host_running(&***host)).cloned().collect()
}
