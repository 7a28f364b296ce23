//! `fracas load --agent K/N`: one of several generators. It drives its users and writes down what they saw.

use super::AgentArguments;
use crate::VERSION;
use crate::console::{self, ProgressLine};
use campaign::agents::{Ended, PartFolder};
use loadgen::agents::processes::Line;
use loadgen::agents::{Agent, Meeting, Part};
use loadgen::{Progress, RealRun};
use scenarios::Scenario;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use verify::history::Header;

/// How long agents wait for each other: an orchestrator may have to fetch an image first.
const PATIENCE: Duration = Duration::from_mins(5);
/// Agents of one machine are started together.
const PATIENCE_HERE: Duration = Duration::from_mins(1);

/// What all agents of a run have in common, in words.
pub fn plan(scenario: &Scenario, seed: u64, header: &Header) -> String {
    let text = scenarios::effective_toml(scenario);
    let unseen = header.unseen.join(",");
    let mark = workload::plan::random::number(seed, &format!("{text}{unseen}"), 0);
    format!("{} with seed {seed} (mark {mark:016x}, fracas {VERSION})", scenario.name)
}

/// The part of one agent.
pub struct OfAgent<'a> {
    pub agent: Agent,
    pub arguments: &'a AgentArguments,
    pub scenario: Arc<Scenario>,
    pub header: Header,
    pub out: &'a Path,
    pub quiet: bool,
    pub notes: Vec<String>,
    /// What makes the run the one that it is, beside its scenario and its seed.
    pub options: Vec<String>,
}

impl OfAgent<'_> {
    /// Makes this run as a part: 0 if it came to its end, otherwise 2.
    pub fn make(self, mut run: RealRun) -> anyhow::Result<u8> {
        let Self { agent, arguments, scenario, header, out, quiet, notes, options } = self;
        let is_child = arguments.lifeline.is_on();
        arguments.lifeline.watch()?;
        let plan = plan(&scenario, header.seed, &header);
        let folder = PartFolder::begin(header, &scenario, out)?;
        let of_heard = folder.clone();
        let heard = Arc::new(move |meeting: Meeting<'_>| match meeting {
            Meeting::Listens(at) if is_child => tell(&Line::Listens(at.to_owned())),
            Meeting::Listens(at) => console::note(&format!("  waiting for the others at {at}")),
            Meeting::Met(met) => of_heard.met(met.run, met.clock, VERSION, &options),
        });
        let patience = if is_child { PATIENCE_HERE } else { PATIENCE };
        let lead = arguments.lead.clone().unwrap_or_default();
        let here = arguments.agents_here;
        let cpu = real::cpu_time() + real::children_cpu_time();
        run.part = Some(Part { agent, lead, patience, plan, here, heard });
        let (progress, thread) = loadgen::run(run, folder.sink());
        let mut line = ProgressLine::new(quiet || is_child);
        for at in progress {
            if is_child && agent.number == 0 {
                tell(&Line::Progress(at));
            }
            line.show(&words(&at));
        }
        let ended = thread.join().map_err(|_| anyhow::anyhow!("the thread of the run has died"))?;
        line.finish();
        let cpu = (real::cpu_time() + real::children_cpu_time()).saturating_sub(cpu);
        let is_whole = ended.stopped.is_none() && ended.met.is_some();
        if let Some(why) = &ended.stopped {
            console::note(&format!("{agent} ended early: {why}"));
        }
        let unwritten = folder.conclude(
            ended.met.map(|met| met.clock),
            Ended {
                doubts: ended.doubts,
                notes: [ended.notes, notes].concat(),
                wall_us: ended.wall.as_micros() as u64,
                cpu_us: cpu.as_micros() as u64,
            },
        );
        for what in &unwritten {
            console::error(what);
        }
        if !is_child {
            let out = out.display();
            console::note(&format!(
                "{agent}: its part is in {out}; fracas merge judges all of them"
            ));
        }
        Ok(if is_whole && unwritten.is_empty() { 0 } else { 2 })
    }
}

/// Nobody can say here that a threshold cannot be met any more.
pub fn never() -> watch::Receiver<Option<String>> {
    watch::channel(None).1
}

/// How far a run has got.
pub fn words(at: &Progress) -> String {
    let Progress { phase, connected, sessions, events, .. } = at;
    format!("{} · {connected} of {sessions} sessions · {events} events", phase.words())
}

fn tell(line: &Line) {
    console::result(&serde_json::to_string(line).expect("it is plain data"));
}
