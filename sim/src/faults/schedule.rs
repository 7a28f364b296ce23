//! When each fault begins and ends: the schedule of one run, worked off as simulated time passes.

use super::target::Directory;
use super::{Active, Stage};
use scenarios::scenario::{Fault, FaultKind};
use std::sync::Arc;
use std::time::Duration;
use verify::history::What;

/// The faults of one run.
pub struct Schedule {
    /// Not begun, the next one last.
    waiting: Vec<Due>,
    active: Vec<Running>,
    next_number: u32,
}

/// A fault that is to begin.
struct Due {
    fault: Fault,
    /// By lot, not by the scenario's schedule.
    drawn: bool,
}

struct Running {
    fault: Active,
    begun: Duration,
    ends: Duration,
    next_change: Option<Duration>,
}

impl Schedule {
    /// The occurrences of all scheduled faults within a load of this length, and the episodes drawn.
    pub fn new(scheduled: &[Fault], episodes: Vec<Fault>, load: Duration) -> Self {
        let scheduled = scheduled
            .iter()
            .flat_map(|fault| {
                let every = fault.every.filter(|every| !every.is_zero()).unwrap_or(load);
                let times = std::iter::successors(Some(fault.at), move |at| Some(*at + every));
                let (lasts, repeats) = (fault.lasts, fault.every.is_some());
                times
                    .take_while(move |at| *at + lasts <= load || *at == fault.at)
                    .take(if repeats { usize::MAX } else { 1 })
                    .map(move |at| Fault { at, ..fault.clone() })
            })
            .map(|fault| Due { fault, drawn: false });
        let drawn = episodes.into_iter().map(|fault| Due { fault, drawn: true });
        let mut waiting: Vec<Due> = scheduled.chain(drawn).collect();
        waiting.sort_by_key(|due| std::cmp::Reverse(due.fault.at));
        Self { waiting, active: Vec::new(), next_number: 1 }
    }

    /// Whether nothing is left.
    pub fn is_done(&self) -> bool {
        self.waiting.is_empty() && self.active.is_empty()
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
        while self.waiting.last().is_some_and(|due| due.fault.at <= loaded) {
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
        Due { fault, drawn }: Due,
        stage: &mut Stage<'_, '_>,
        directory: &Directory<'_>,
        loaded: Duration,
        record: &dyn Fn(What),
    ) {
        let number = self.next_number;
        self.next_number += 1;
        let (hosts, pairs) = resolve(&fault.kind, stage, directory);
        // All hosts that an episode may befall may be down already: then it does not happen.
        if drawn && hosts.is_empty() && pairs.is_empty() {
            return;
        }
        let down = if hosts.is_empty() { meant(&fault.kind, directory) } else { Vec::new() };
        let mut active = Active { number, kind: fault.kind, hosts, pairs, effect: 0, down };
        record(What::FaultBegan {
            fault: number,
            kind: active.kind.word().into(),
            target: active.description().into(),
            drawn,
        });
        active.begin(stage);
        let next_change = active.next_change(loaded, loaded);
        let ends = loaded + fault.lasts;
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
            let Active { number: fault, effect, .. } = running.fault;
            record(What::FaultEnded { fault, effect });
        }
    }
}

/// The hosts that a fault of hosts is meant for, whether they run or not.
fn meant(kind: &FaultKind, directory: &Directory<'_>) -> Vec<Arc<str>> {
    match kind {
        FaultKind::Kill { target }
        | FaultKind::PowerLoss { target }
        | FaultKind::Pause { target } => directory.all_of(target),
        _ => Vec::new(),
    }
}

fn resolve(
    kind: &FaultKind,
    stage: &mut Stage<'_, '_>,
    directory: &Directory<'_>,
) -> (Vec<Arc<str>>, Vec<super::links::Pair>) {
    match kind {
        FaultKind::Blip { between }
        | FaultKind::Cut { between, .. }
        | FaultKind::Flap { between, .. }
        | FaultKind::SlowLink { between, .. } => {
            (Vec::new(), directory.pairs(between, stage.random))
        }
        FaultKind::Skew { target, .. } => (directory.resolve(target, stage.random), Vec::new()),
        // Who is down cannot die or stop: `any` means any of the others.
        FaultKind::Kill { target }
        | FaultKind::PowerLoss { target }
        | FaultKind::Pause { target } => {
            let is_running = |host: &&Arc<str>| stage.sim.is_host_running(&***host);
            let running: Vec<_> = directory.hosts.iter().filter(is_running).cloned().collect();
            let directory = Directory { hosts: &running, ..*directory };
            let mut hosts = directory.resolve(target, stage.random);
            hosts.retain(|host| running.contains(host));
            (hosts, Vec::new())
        }
    }
}
