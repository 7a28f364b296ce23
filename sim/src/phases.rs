//! The phases of one run: set up, warm up, load under faults, heal, settle, judge.

use crate::faults::Stage;
use crate::faults::links::LinkBoard;
use crate::faults::schedule::{Due, Schedule};
use crate::hooks;
use crate::journal::{Journal, OWN_BUG, TraceSink};
use crate::machine::flow::Flows;
use crate::machine::processes::Processes;
use crate::machine::pulse::Pulse;
use crate::run::{Progress, SimulatedRun};
use crate::world::{self, Builder, Hosts, Signals};
use protocol::UserId;
use scenarios::faults::claims::Latency;
use scenarios::faults::target::Directory;
use scenarios::{Scenario, faults};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::watch;
use verify::history::What;
use verify::history::event::Phase;

/// How long conversations may take to be made, and final reads to be done.
const PATIENCE: Duration = Duration::from_mins(2);

/// A run under way, on the simulating thread.
pub struct Phases<'a> {
    scenario: &'a Scenario,
    sim: turmoil::Sim<'static>,
    hosts: Hosts,
    board: LinkBoard,
    journal: Journal,
    schedule: Schedule,
    seed: u64,
    phase: watch::Sender<Phase>,
    signals: Signals,
    progress: mpsc::Sender<Progress>,
    pulse: Pulse,
    traces: Option<TraceSink>,
    asked_to_end: Arc<OnceLock<&'static str>>,
    draws: u64,
    steps: u64,
}

/// Why a run ends before its time.
enum Abort {
    /// A host broke.
    Broken(String),
    /// It takes too long.
    GivenUp(&'static str),
    /// The simulator does not go on.
    Failed(String),
    /// Somebody has asked for it.
    Asked(&'static str),
}

impl<'a> Phases<'a> {
    /// The world at its beginning.
    pub fn new(
        run: &'a SimulatedRun,
        journal: Journal,
        (pulse, traces): (Pulse, Option<TraceSink>),
        progress: mpsc::Sender<Progress>,
    ) -> Self {
        let SimulatedRun { scenario, seed, replay, asked_to_end, .. } = run;
        let seed = *seed;
        let (phase, phases) = watch::channel(Phase::SetUp);
        let [is_set_up, is_read] = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
        let signals = Signals { phase: phases, is_set_up, is_read };
        let network = scenario.network;
        let at_rest = Latency { max: network.latency_max, min: network.latency_min };
        let board = LinkBoard::new(at_rest, seed);
        let mut sim = world::simulation(scenario, seed, scenario.lasts() + PATIENCE * 3);
        let builder = Builder {
            scenario,
            seed,
            plan: Arc::new(run.plan()),
            journal: journal.clone(),
            board: board.clone(),
            flows: Flows::default(),
            processes: Processes::default(),
            signals: signals.clone(),
            pulse: pulse.clone(),
        };
        let hosts = builder.build(&mut sim);
        let schedule = Schedule::new(match replay {
            Some(recorded) => recorded.faults.iter().cloned().map(Due::Recorded).collect(),
            None => faults::schedule(scenario, seed).into_iter().map(Due::Planned).collect(),
        });
        Self {
            scenario,
            sim,
            hosts,
            board,
            journal,
            schedule,
            seed,
            phase,
            signals,
            progress,
            pulse,
            traces,
            asked_to_end: Arc::clone(asked_to_end),
            draws: 0,
            steps: 0,
        }
    }

    /// The phases of a run, to its end or to where it cannot go on.
    pub fn tell(&mut self) {
        let abort = self.run_all().err();
        if let Some(abort) = &abort {
            self.stop(abort);
        }
        self.enter(Phase::End);
        if !matches!(abort, Some(Abort::Failed(_))) {
            // The users write down what is still unanswered. Nothing depends on this moment.
            let _ = self.step_for(Duration::from_millis(100));
        }
    }

    /// What the nodes have counted, all of them together.
    pub fn counters(&self) -> BTreeMap<&'static str, u64> {
        self.hosts.counters()
    }

    /// Simulated time so far.
    pub fn elapsed(&self) -> Duration {
        self.sim.elapsed()
    }

    fn run_all(&mut self) -> Result<(), Abort> {
        self.enter(Phase::SetUp);
        let is_set_up = self.signals.is_set_up.clone();
        self.step_until("the conversations were not created", &is_set_up)?;
        self.enter(Phase::WarmUp);
        self.step_for(self.scenario.phases.warm_up)?;
        self.enter(Phase::Load);
        self.load_under_faults()?;
        self.enter(Phase::Heal);
        self.step_for(self.scenario.phases.heal)?;
        self.enter(Phase::Settle);
        self.step_for(self.scenario.phases.settle)?;
        self.enter(Phase::Judge);
        let is_read = self.signals.is_read.clone();
        self.step_until("the final reads did not finish", &is_read)
    }

    fn enter(&mut self, phase: Phase) {
        self.journal.set_world_time(self.sim.elapsed());
        self.journal.record_world(What::Phase(phase));
        self.phase.send_replace(phase);
        self.report();
    }

    fn stop(&mut self, abort: &Abort) {
        self.journal.set_world_time(self.sim.elapsed());
        let why = match abort {
            // Whose fault it is was said when it broke.
            Abort::Broken(why) => why,
            Abort::Asked(who) => *who,
            Abort::GivenUp(why) => {
                self.journal.failed((*why).to_owned());
                *why
            }
            Abort::Failed(why) => {
                self.journal.failed(format!("a host failed, {OWN_BUG}: {why}"));
                why
            }
        };
        self.journal.record_world(What::Stopped { why: why.into() });
    }

    fn load_under_faults(&mut self) -> Result<(), Abort> {
        let begun = self.sim.elapsed();
        let lasts = self.scenario.load.lasts();
        while self.sim.elapsed() < begun + lasts {
            let loaded = self.sim.elapsed().saturating_sub(begun);
            self.with_schedule(|schedule, stage, directory, record| {
                schedule.advance(stage, directory, loaded, record);
            });
            self.step()?;
        }
        self.with_schedule(|schedule, stage, _, record| schedule.end_all(stage, record));
        Ok(())
    }

    fn with_schedule(
        &mut self,
        act: impl FnOnce(&mut Schedule, &mut Stage<'_, 'static>, &Directory<'_>, &dyn Fn(What)),
    ) {
        let now = self.sim.elapsed();
        self.journal.set_world_time(now);
        let journal = &self.journal;
        let gateway_of = |user: UserId| -> Option<Arc<str>> {
            journal.gateway_of(user).map(|gateway| format!("gateway-{gateway}").into())
        };
        let client_of = |user: UserId| self.scenario.client_host_of(user);
        let directory = Directory {
            hosts: self.hosts.list(),
            owner_of: &|conversation| self.hosts.owner_of(conversation),
            // The one that leads all queues.
            broker_of: &|_| Some("broker-1".into()),
            gateway_of: &gateway_of,
            client_of: &client_of,
        };
        let mut stage = Stage {
            sim: &mut self.sim,
            board: &self.board,
            hosts: &self.hosts,
            seed: self.seed,
            now,
        };
        act(&mut self.schedule, &mut stage, &directory, &|what| journal.record_world(what));
    }

    fn step_for(&mut self, lasts: Duration) -> Result<(), Abort> {
        let end = self.sim.elapsed() + lasts;
        while self.sim.elapsed() < end {
            self.step()?;
        }
        Ok(())
    }

    fn step_until(&mut self, otherwise: &'static str, done: &AtomicBool) -> Result<(), Abort> {
        let end = self.sim.elapsed() + PATIENCE;
        while !done.load(Ordering::Relaxed) {
            if self.sim.elapsed() >= end {
                return Err(Abort::GivenUp(otherwise));
            }
            self.step()?;
        }
        Ok(())
    }

    fn step(&mut self) -> Result<(), Abort> {
        hooks::advance_to(self.sim.elapsed());
        self.journal.set_world_time(self.sim.elapsed());
        self.pulse.begin_step();
        self.sim.step().map_err(|error| Abort::Failed(error.to_string()))?;
        self.trace();
        self.steps += 1;
        if self.steps.is_multiple_of(256) {
            self.report();
        }
        if let Some(who) = self.asked_to_end.get() {
            return Err(Abort::Asked(who));
        }
        self.journal.broken().map_or(Ok(()), |why| Err(Abort::Broken(why)))
    }

    /// What the hosts did in this step, a line each.
    fn trace(&mut self) {
        let Some(sink) = &mut self.traces else { return };
        let at = self.sim.elapsed().as_micros();
        for news in self.pulse.news() {
            sink(&format!("trace {at} {news}"));
        }
        let draws = hooks::draws();
        if std::mem::replace(&mut self.draws, draws) != draws {
            sink(&format!("trace {at} library draws={draws:016x}"));
        }
    }

    fn report(&self) {
        // Nobody may be looking.
        let _ = self.progress.send(Progress {
            phase: *self.phase.borrow(),
            simulated: self.sim.elapsed(),
            total: self.scenario.lasts(),
            events: self.journal.events(),
        });
    }
}
