//! `fracas load`: a scenario on real sockets, with the same users, checks and report as in the
//! simulator.

mod against;
mod credentials;
mod encryption;
mod many;
mod reproduced;
mod several;
mod traced;

use super::on_engines::EngineArguments;
use crate::address::host_and_port;
use crate::agents::AgentArguments;
use crate::console::{self, ProgressLine};
use crate::scenario_arguments::{ScenarioArguments, SweepArguments};
use crate::sweep::{self, SweepOutput};
use crate::whole::whole;
use crate::{VERSION, interruption};
use anyhow::Context;
use campaign::{Circumstances, Concluded, InvalidUsage, Observation, Opened, Opening};
use clap::Args;
use loadgen::journeys::Drive;
use loadgen::{Against, DataFolder, Engines, Exposition, Fit, FolderError, Progress, RealRun};
use ports::WallClock;
use report::{Extent, Took};
use scenarios::Scenario;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use traced::TraceArguments;
use verify::history::Header;
use verify::history::event::Engine;

/// The invariant that has nothing to judge in a run without faults.
const RECOVERY: &str = "recovers_to_baseline";
/// Claims about what a cluster that was not started for the run does not show: it has a push provider of
/// its own, and its processes are watched by somebody else.
const UNSEEN_OF_A_TARGET: [&str; 3] =
    ["away_member_is_pushed", "nobody_present_is_pushed", "no_node_panics"];

/// What a reader of the help may want to know.
const SIGNALS: &str = "\
SIGINT (Ctrl-C), SIGTERM and SIGHUP end the run early: everything seen so far is judged and reported, \
with exit status 2 (or 1 if something was violated). A second signal ends it at once.

The soft limit on open files is raised to the hard limit. If the generator's machine runs short (files, \
ports, processors, memory, disk), that never counts against the cluster: the verdict is unknown, and the \
report says what to change.";

/// Run a scenario on real sockets against a real cluster.
#[derive(Debug, Args)]
#[command(after_help = SIGNALS)]
pub struct Load {
    #[command(flatten)]
    opening: SweepArguments,
    /// Further scenario files: a table tells of all of them.
    #[arg(value_name = "SCENARIO")]
    further: Vec<PathBuf>,
    /// The seed, which decides what the users do and when; of several the first.
    #[arg(long, default_value_t = 1, value_parser = whole(0..=u64::MAX))]
    seed: u64,
    /// How many seeds to run of each scenario.
    #[arg(long, default_value_t = 1, value_parser = whole(1..=u64::MAX))]
    seeds: u64,
    /// Of several runs, so many at a time. Beside another one, each measures both.
    #[arg(long, default_value_t = 1, value_parser = whole(1..=1_000_usize))]
    jobs: usize,
    /// A gateway of a running cluster, `host:port`; repeat it for several. The cluster must be fresh:
    /// nothing may have been written to the scenario's conversations. No faults are injected into it.
    /// Without this, a cluster is started on this machine, a process for each node, and stopped after the
    /// run.
    #[arg(long, value_name = "HOST:PORT", value_parser = host_and_port, conflicts_with = "engines")]
    target: Vec<String>,
    /// The configuration of the cluster at --target: the password of its development users, a service
    /// that may change and read anything, and with a table `tls` the authority that is trusted. Without this,
    /// they are those of a cluster for development, in plaintext.
    #[arg(long, value_name = "FILE", requires = "target")]
    config: Option<PathBuf>,
    /// Who serves the numbers of the nodes of the cluster at --target (`fracas node --metrics`); repeat it for
    /// several. Their queues are judged. Without this, they are those of the first --target, a gateway.
    #[arg(long, value_name = "HOST:PORT", requires = "target", value_parser = host_and_port)]
    target_metrics: Vec<String>,
    /// Start all nodes in one process. That costs less, and a fault hits all of them at once.
    #[arg(long, conflicts_with_all = ["target", "engines"])]
    one_process: bool,
    #[command(flatten)]
    engines: EngineArguments,
    /// Encrypt everything: the nodes know each other by certificates (mutual TLS), and users reach gateways by
    /// TLS; what goes to RabbitMQ, PostgreSQL and the like is not. The certificates are made for the run. For a
    /// cluster that is started: with --target, --config says whom to trust.
    #[arg(long, conflicts_with = "target")]
    tls: bool,
    #[command(flatten)]
    traces: TraceArguments,
    /// Run the load alone. Without this, the verdict is unknown if none of the scenario's faults can
    /// be injected (into a --target cluster, or clocks).
    #[arg(long)]
    without_faults: bool,
    /// The folder for the report, the history and (in `cluster`) the data of a started cluster;
    /// without it, the data goes to a temporary folder and nothing is kept.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Serve the numbers of the run to Prometheus while it is under way, at `/metrics` of this address.
    #[arg(long, value_name = "HOST:PORT", value_parser = host_and_port)]
    metrics: Option<String>,
    /// Show no progress line.
    #[arg(long)]
    quiet: bool,
    /// Print the verdict as JSON instead of a table.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    agents: AgentArguments,
}

impl Load {
    /// Runs every combination of the overrides, each on a cluster of its own; the status of the worst.
    pub fn execute(self) -> anyhow::Result<u8> {
        if self.is_many() {
            return self.many();
        }
        let opened = self.opened()?;
        if self.agents.agent.is_none() {
            self.agents.lifeline.watch().context("standard input")?;
        }
        let stop = listen()?;
        if let (Some(agent), Some(out)) = (self.agents.agent, &self.out) {
            let [only] = &opened[..] else {
                let why = "--agent: a run is shared between agents: one value per --set";
                return Err(InvalidUsage(why.to_owned()).into());
            };
            return self.part(only, agent, out, stop);
        }
        let output = SweepOutput { out: self.out.as_deref(), json: self.json, seed: self.seed };
        let opening = Opening::from(&self.opening);
        sweep::run(&opening, &opened, &output, &stop, |one, out| self.one(one, out, stop.clone()))
    }

    /// A run of `fracas knee`, which does not tell of itself: without faults, against a cluster of its own.
    pub(super) fn of_a_level(
        opening: ScenarioArguments,
        seed: u64,
        one_process: bool,
        engines: EngineArguments,
    ) -> Self {
        let ScenarioArguments { scenario, overrides } = opening;
        Self {
            opening: SweepArguments { scenario, overrides },
            further: Vec::new(),
            seed,
            seeds: 1,
            jobs: 1,
            target: Vec::new(),
            config: None,
            target_metrics: Vec::new(),
            one_process,
            engines,
            tls: false,
            traces: TraceArguments::default(),
            without_faults: true,
            out: None,
            metrics: None,
            quiet: true,
            json: false,
            agents: AgentArguments::default(),
        }
    }

    /// Every combination of the overrides, of which each can be run.
    pub(super) fn opened(&self) -> anyhow::Result<Vec<Opened>> {
        let mut opened = Opening::from(&self.opening).open(self.seed)?;
        if opened.len() > 1 && !self.target.is_empty() {
            let why = "--target: a cluster is fresh for one run only: one value per --set";
            return Err(InvalidUsage(why.to_owned()).into());
        }
        for Opened { scenario, .. } in &mut opened {
            if self.without_faults {
                leave_out_faults(scenario);
            }
            if self.target.is_empty() {
                self.engines.check(scenario)?;
            }
            check_journeys(scenario)?;
            self.traces.table(scenario, self.seed)?;
            self.check_share(scenario)?;
            self.fit(scenario)?;
        }
        Ok(opened)
    }

    /// One run, whose report goes to a folder.
    pub(super) fn one(
        &self,
        opened: &Opened,
        out: Option<&Path>,
        stop: interruption::Receiver,
    ) -> anyhow::Result<Concluded> {
        let known = opened.notes();
        let scenario = Arc::new(opened.scenario.clone());
        let fit = self.fit(&scenario)?;
        // Without a cluster there is nothing to report.
        let of_target = self.of_target()?;
        loadgen::answers(&self.target, of_target.as_ref()).map_err(anyhow::Error::msg)?;
        if self.agents.agents.is_some() {
            let notes = [known, fit.short, self.notes()].concat();
            return self.on_this_machine(opened, notes, out, &stop);
        }
        // Before the report's folder is touched: its data folder may be refused.
        let folder = self.starts_cluster().then(|| data_folder(out)).transpose()?;
        let data = folder.as_ref().map(DataFolder::path);
        let against = self.against(data)?;
        let encryption = self.encryption(data, of_target)?;
        let credentials = self.credentials(&scenario)?;
        let quiet = self.quiet || self.json;
        if !quiet {
            self.introduce(opened, &fit, &against);
        }
        let observation = Observation::begin(self.header(&scenario), &scenario, out)?;
        let (seed, of_run, journeys, part) = (self.seed, scenario.clone(), DRIVE, None);
        let metrics = self.exposition(&observation);
        let run = RealRun {
            scenario: of_run,
            seed,
            against,
            credentials,
            numbers: self.target_metrics.clone(),
            encryption,
            traces: self.traces.table(&scenario, self.seed)?,
            part,
            journeys,
            metrics,
            stop,
            unmeetable: observation.unmeetable(),
        };
        let cpu = real::cpu_time() + real::children_cpu_time();
        let (progress, thread) = loadgen::run(run, observation.sink());
        let mut line = ProgressLine::new(quiet);
        for at in progress {
            line.show_live(&observation.live(), &extent(&scenario, at), at.events);
        }
        line.show("judging what is still in line");
        let ended = thread.join().map_err(|_| anyhow::anyhow!("the thread of the run has died"))?;
        line.finish();
        let notes = [ended.notes, known, fit.short, self.notes()].concat();
        Ok(observation.conclude(Circumstances {
            scenario: &scenario,
            // Without its faults it is another run.
            tried: opened.tried.as_ref().filter(|_| !self.without_faults),
            follow: None,
            reproduce: &self.reproduce(&self.opening.scenario, &opened.overrides),
            reproduce_here: &self.reproduce(Path::new("scenario.toml"), &[]),
            version: VERSION,
            doubts: ended.doubts,
            disorder: None,
            notes,
            plan: None,
            terminal: console::terminal(),
            took: Took {
                ended_at_ms: Some(real::SystemClock.now_ms()),
                wall: ended.wall,
                cpu: (real::cpu_time() + real::children_cpu_time()).saturating_sub(cpu),
                simulated: ended.wall,
            },
        }))
    }

    /// The numbers of the run while it is under way.
    fn exposition(&self, observation: &Observation) -> Option<Exposition> {
        let observation = observation.clone();
        self.metrics.clone().map(|at| Exposition {
            at,
            text: Arc::new(move |recorded| {
                let (live, latencies) = (observation.live(), observation.latencies());
                report::live_metrics(&live, &latencies, recorded)
            }),
        })
    }

    /// What is about to happen.
    fn introduce(&self, opened: &Opened, fit: &Fit, against: &Against) {
        let scenario = &opened.scenario;
        console::note(&format!("fracas {VERSION} · {} · seed {}", scenario.name, self.seed));
        let known = opened.notes();
        let reach = against.reach(self.agents.share(self.starts_cluster()));
        let not_done = loadgen::not_done(scenario, self.seed, reach);
        for sentence in [&fit.needs].into_iter().chain(&fit.short).chain(&known).chain(&not_done) {
            console::note(&format!("  {sentence}"));
        }
    }

    /// The first line of its history.
    fn header(&self, scenario: &Scenario) -> Header {
        let mut header = workload::header(scenario, self.seed, Engine::Real);
        header.unseen = self.unseen().map(str::to_owned).collect();
        header
    }

    /// Claims about what this run cannot see.
    fn unseen(&self) -> impl Iterator<Item = &'static str> {
        UNSEEN_OF_A_TARGET.into_iter().filter(|_| !self.target.is_empty())
    }

    /// What its options make of it.
    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if !self.target.is_empty() {
            let unseen = UNSEEN_OF_A_TARGET.join(", ");
            notes.push(format!("not judged, since it cannot be observed with --target: {unseen}"));
        }
        if let Some(engines) = self.engines.words() {
            notes.push(format!("the cluster stands on engines outside of it: {engines}"));
        }
        if self.tls {
            let engines = self.engines.chosen();
            let is_whole = engines == Engines { haproxy: engines.haproxy, ..Engines::NONE };
            let but = if is_whole { "" } else { " but what goes to and from engines" };
            notes.push(format!("everything{but} is encrypted (TLS)"));
        }
        if self.without_faults {
            notes.push("without faults, as requested".to_owned());
        }
        notes
    }
}

/// How much a run plans.
fn extent(scenario: &Scenario, at: Progress) -> Extent {
    let phases = scenario.phases;
    let lengths = [scenario.load.lasts(), phases.heal, phases.settle];
    Extent {
        members: at.memberships,
        conversations: at.conversations,
        sessions: at.sessions,
        lengths_us: lengths.map(|length| length.as_micros() as u64),
    }
}

/// What drives the users of the REST interface, if it is part of this build.
#[cfg(feature = "journeys")]
const DRIVE: Option<Drive> = Some(journeys::drive);
#[cfg(not(feature = "journeys"))]
const DRIVE: Option<Drive> = None;

fn check_journeys(scenario: &Scenario) -> Result<(), InvalidUsage> {
    if scenario.journeys.is_none() || DRIVE.is_some() {
        return Ok(());
    }
    let why = "[journeys] needs goose, which this program was built without: build it with \
               --features journeys";
    Err(InvalidUsage(why.to_owned()))
}

/// Listens to signals in a process that may drive users of the REST interface: goose would take Ctrl-C for
/// itself.
pub(super) fn listen() -> anyhow::Result<interruption::Receiver> {
    #[cfg(feature = "journeys")]
    journeys::keep_ours().context("signals")?;
    interruption::listen()
}

/// Where a started cluster keeps its data.
fn data_folder(out: Option<&Path>) -> anyhow::Result<DataFolder> {
    DataFolder::new(out).map_err(|error| match error {
        FolderError::Invalid(why) => InvalidUsage(why).into(),
        other => other.into(),
    })
}

/// The scenario with its load alone: there is nothing to recover from then.
fn leave_out_faults(scenario: &mut Scenario) {
    scenario.faults.clear();
    scenario.random_faults = None;
    if !scenario.expect.may_be_idle.iter().any(|name| name == RECOVERY) {
        scenario.expect.may_be_idle.push(RECOVERY.to_owned());
    }
}

#[cfg(test)]
mod tests;
