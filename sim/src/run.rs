//! One run from beginning to end: set up, warm up, load under faults, heal, settle, judge.

use crate::faults::agenda::Agenda;
use crate::faults::links::{Latency, LinkBoard};
use crate::faults::target::Directory;
use crate::faults::{Stage, random};
use crate::journal::{Journal, Sink};
use crate::machine::flow::Flows;
use crate::world::{self, Builder, Hosts, Signals};
use crate::{hooks, seed};
use loadgen::Plan;
use protocol::UserId;
use rand_chacha::ChaCha8Rng;
use scenarios::Scenario;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;
use tokio::sync::watch;
use verify::history::What;
use verify::history::event::Phase;

/// How long conversations may take to be made, and final reads to be done.
const PATIENCE: Duration = Duration::from_mins(2);

/// The stack of a simulating thread: debug builds have large frames.
const STACK: usize = 64 * 1024 * 1024;

/// How far a run has got.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// The phase.
    pub phase: Phase,
    /// Simulated time so far.
    pub simulated: Duration,
    /// Simulated time of the whole run, about.
    pub total: Duration,
    /// Events so far.
    pub events: u64,
}

/// How a run ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ended {
    /// Simulated time.
    pub simulated: Duration,
    /// Why the run says less than it should: processes that failed, phases that did not end.
    pub doubts: Vec<String>,
    /// What a reader should know, and that makes nothing doubtful.
    pub notes: Vec<String>,
}

/// Runs a scenario on a thread of its own, in which everything is simulated. Events go to `sink`, on
/// that thread; progress comes out of the channel, which closes with the run.
pub fn run(
    scenario: Arc<Scenario>,
    seed: u64,
    sink: Sink,
) -> (mpsc::Receiver<Progress>, std::thread::JoinHandle<Ended>) {
    let (progress, receiver) = mpsc::channel();
    let thread = std::thread::Builder::new().name("simulation".to_owned()).stack_size(STACK);
    let handle = thread
        .spawn(move || {
            hooks::enter(seed::derive(seed, "hooks"));
            let ended = simulate(&scenario, seed, sink, &progress);
            hooks::leave();
            ended
        })
        .expect("the operating system has a thread for us");
    (receiver, handle)
}

fn simulate(
    scenario: &Scenario,
    seed: u64,
    sink: Sink,
    progress: &mpsc::Sender<Progress>,
) -> Ended {
    let journal = Journal::new(scenario.users.count, sink);
    let story = catch_unwind(AssertUnwindSafe(|| {
        let mut run = Run::new(scenario, seed, journal.clone(), progress.clone());
        run.tell();
        run.sim.elapsed()
    }));
    let mut ended =
        Ended { doubts: journal.failures(), notes: journal.notes(), ..Ended::default() };
    match story {
        Ok(simulated) => ended.simulated = simulated,
        Err(panic) => ended.doubts.push(format!("the simulation panicked: {}", words(&*panic))),
    }
    ended
}

fn words(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_else(|| "without words".to_owned())
}

struct Run<'a> {
    scenario: &'a Scenario,
    sim: turmoil::Sim<'static>,
    hosts: Hosts,
    board: LinkBoard,
    journal: Journal,
    agenda: Agenda,
    random: ChaCha8Rng,
    phase: watch::Sender<Phase>,
    signals: Signals,
    progress: mpsc::Sender<Progress>,
    steps: u64,
}

impl<'a> Run<'a> {
    fn new(
        scenario: &'a Scenario,
        seed: u64,
        journal: Journal,
        progress: mpsc::Sender<Progress>,
    ) -> Self {
        let (phase, phases) = watch::channel(Phase::SetUp);
        let [is_set_up, is_read] = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
        let signals = Signals { phase: phases, is_set_up, is_read };
        let network = scenario.network;
        let at_rest = Latency { max: network.latency_max, min: network.latency_min };
        let board = LinkBoard::new(at_rest);
        let mut sim = world::simulation(scenario, seed, scenario.lasts() + PATIENCE * 3);
        let builder = Builder {
            scenario,
            seed,
            plan: Arc::new(Plan::new(scenario, seed)),
            journal: journal.clone(),
            board: board.clone(),
            flows: Flows::default(),
            signals: signals.clone(),
        };
        let hosts = builder.build(&mut sim);
        let mut random = seed::stream(seed, "faults");
        let load = scenario.load.lasts();
        let at_random = scenario.random_faults.as_ref();
        let episodes = at_random.map(|wanted| random::episodes(&mut random, wanted, load));
        let agenda = Agenda::new(&scenario.faults, episodes.unwrap_or_default(), load);
        Self {
            scenario,
            sim,
            hosts,
            board,
            journal,
            agenda,
            random,
            phase,
            signals,
            progress,
            steps: 0,
        }
    }

    /// The story of a run.
    fn tell(&mut self) {
        self.enter(Phase::SetUp);
        let is_set_up = self.signals.is_set_up.clone();
        if !self.step_until(PATIENCE, || is_set_up.load(Ordering::Relaxed)) {
            return self.give_up("the conversations were not made");
        }
        self.enter(Phase::WarmUp);
        self.step_for(self.scenario.phases.warm_up);
        self.enter(Phase::Load);
        self.load_under_faults();
        self.enter(Phase::Heal);
        self.step_for(self.scenario.phases.heal);
        self.enter(Phase::Settle);
        self.step_for(self.scenario.phases.settle);
        self.enter(Phase::Judge);
        let is_read = self.signals.is_read.clone();
        if !self.step_until(PATIENCE, || is_read.load(Ordering::Relaxed)) {
            return self.give_up("the final reads did not end");
        }
        self.enter(Phase::End);
        // Crews write down what is still unanswered.
        self.step_for(Duration::from_millis(100));
    }

    fn enter(&mut self, phase: Phase) {
        self.journal.set_world_time(self.sim.elapsed());
        self.journal.record_world(What::Phase(phase));
        self.phase.send_replace(phase);
        self.report();
    }

    fn give_up(&mut self, why: &str) {
        self.journal.failed(why.to_owned());
        self.journal.set_world_time(self.sim.elapsed());
        self.journal.record_world(What::Stopped { why: why.into() });
        self.enter(Phase::End);
        self.step_for(Duration::from_millis(100));
    }

    fn load_under_faults(&mut self) {
        let begun = self.sim.elapsed();
        let lasts = self.scenario.load.lasts();
        while self.sim.elapsed() < begun + lasts {
            let loaded = self.sim.elapsed().saturating_sub(begun);
            self.with_agenda(|agenda, stage, directory, record| {
                agenda.advance(stage, directory, loaded, record);
            });
            self.step();
        }
        self.with_agenda(|agenda, stage, _, record| agenda.end_all(stage, record));
    }

    fn with_agenda(
        &mut self,
        act: impl FnOnce(&mut Agenda, &mut Stage<'_, 'static>, &Directory<'_>, &dyn Fn(What)),
    ) {
        let now = self.sim.elapsed();
        self.journal.set_world_time(now);
        let journal = &self.journal;
        let gateway_of = |user: UserId| -> Option<Arc<str>> {
            journal.gateway_of(user).map(|gateway| format!("gateway-{gateway}").into())
        };
        let client_of = |user: UserId| world::client_host_of(self.scenario, user);
        let directory = Directory {
            hosts: self.hosts.list(),
            shape: self.scenario.cluster,
            gateway_of: &gateway_of,
            client_of: &client_of,
        };
        let mut stage = Stage {
            sim: &mut self.sim,
            board: &self.board,
            hosts: &self.hosts,
            random: &mut self.random,
            now,
        };
        act(&mut self.agenda, &mut stage, &directory, &|what| journal.record_world(what));
    }

    fn step_for(&mut self, lasts: Duration) {
        let end = self.sim.elapsed() + lasts;
        while self.sim.elapsed() < end {
            self.step();
        }
    }

    fn step_until(&mut self, patience: Duration, is_done: impl Fn() -> bool) -> bool {
        let end = self.sim.elapsed() + patience;
        while !is_done() && self.sim.elapsed() < end {
            self.step();
        }
        is_done()
    }

    fn step(&mut self) {
        hooks::advance_to(self.sim.elapsed());
        self.journal.set_world_time(self.sim.elapsed());
        if let Err(error) = self.sim.step() {
            panic!("a host failed: {error}");
        }
        self.steps += 1;
        if self.steps.is_multiple_of(256) {
            self.report();
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
