//! `fracas run`: one simulated run, judged and reported.

use crate::console::{self, ProgressLine};
use crate::replay::{SeedArguments, simulated};
use crate::scenario_arguments::SweepArguments;
use crate::sweep::{self, SweepOutput};
use crate::{VERSION, interruption};
use campaign::followed::Again;
use campaign::reproduce::{replaying, reproduce};
use campaign::{Circumstances, Concluded, Observation, Opened, Opening};
use clap::Args;
use ports::WallClock;
use report::Took;
use sim::SimulatedRun;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use verify::history::event::Engine;
use verify::history::path::Message;

/// Simulate a scenario with one seed.
#[derive(Debug, Args)]
pub struct Run {
    #[command(flatten)]
    opening: SweepArguments,
    #[command(flatten)]
    seed: SeedArguments,
    /// The folder for the report and the history; nothing is written without it.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Show no progress line.
    #[arg(long)]
    quiet: bool,
    /// Print the verdict as JSON instead of a table; of several runs, an array of verdicts.
    #[arg(long)]
    json: bool,
}

impl Run {
    /// Runs every combination of the overrides; the status of the worst.
    pub fn execute(self) -> anyhow::Result<u8> {
        let (seed, replay) = self.seed.read()?;
        let stop = interruption::listen()?;
        let opening = Opening::from(&self.opening);
        let opened = opening.open(seed)?;
        let output = SweepOutput { out: self.out.as_deref(), json: self.json, seed };
        sweep::run(&opening, &opened, &output, &stop, |one, out| {
            let run = simulated(one, seed, replay.clone())?;
            self.one(one, run, out, &stop)
        })
    }

    fn one(
        &self,
        opened: &Opened,
        run: SimulatedRun,
        out: Option<&Path>,
        stop: &interruption::Receiver,
    ) -> anyhow::Result<Concluded> {
        let (scenario, seed) = (run.scenario.clone(), run.seed);
        let plan = run.plan();
        let reproduce = self.reproduce(opened);
        if !self.quiet && !self.json {
            console::note(&format!("fracas {VERSION} · {} · seed {}", scenario.name, seed));
            let needs = sim::needs(&scenario);
            if needs.are_large() {
                console::note(&format!("  {needs}"));
            }
            if loadgen::free_memory().is_some_and(|free| free < needs.memory) {
                console::note("  there is less memory than that: it may be ended by the system");
            }
            opened.notes().iter().for_each(|note| console::note(&format!("  {note}")));
        }
        let header = workload::header(&scenario, seed, Engine::Simulated);
        let observation = Observation::begin(header, &scenario, out)?;
        let started = tokio::time::Instant::now();
        let cpu = real::cpu_time();
        let asked_to_end = Arc::clone(&run.asked_to_end);
        let run = sim::run(run, observation.sink(), None)?;
        let mut line = ProgressLine::new(self.quiet || self.json);
        let ended = run.follow(|at| {
            if let Some(signal) = *stop.borrow() {
                // Only the first to ask is named.
                let _ = asked_to_end.set(signal);
            }
            let wall = started.elapsed().as_secs_f64().max(0.001);
            line.show(&report::progress(
                at.simulated.as_secs_f64(),
                at.total.as_secs_f64(),
                at.events,
                observation.violations(),
                at.simulated.as_secs_f64() / wall,
            ));
        });
        line.finish();
        let again = Again {
            scenario: &self.opening.scenario,
            overrides: &opened.overrides,
            seed,
            replay: self.seed.replay.as_deref(),
            events: observation.live().events,
        };
        let follow = |messages: &[Message]| again.follow(messages, || stop.borrow().is_some());
        Ok(observation.conclude(Circumstances {
            scenario: &scenario,
            tried: opened.tried.as_ref().filter(|_| self.seed.replay.is_none()),
            follow: Some(&follow),
            reproduce: &reproduce,
            reproduce_here: &self.reproduce_here(),
            version: VERSION,
            doubts: ended.doubts,
            disorder: None,
            notes: ended.notes.into_iter().chain(opened.notes()).collect(),
            plan: Some(&plan),
            terminal: console::terminal(),
            took: Took {
                ended_at_ms: Some(real::SystemClock.now_ms()),
                wall: started.elapsed(),
                cpu: real::cpu_time().saturating_sub(cpu),
                simulated: ended.simulated,
            },
        }))
    }

    fn reproduce_here(&self) -> String {
        let scenario = Path::new("scenario.toml");
        match &self.seed.replay {
            None => reproduce("run", scenario, self.seed.seed, &[]),
            Some(_) => replaying(scenario, Path::new("recording.jsonl"), &[]),
        }
    }

    fn reproduce(&self, opened: &Opened) -> String {
        let Self { opening, seed, .. } = self;
        match &seed.replay {
            None => reproduce("run", &opening.scenario, seed.seed, &opened.overrides),
            Some(replay) => replaying(&opening.scenario, replay, &opened.overrides),
        }
    }
}
