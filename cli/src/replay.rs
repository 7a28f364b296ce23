//! `--replay FILE`: the faults and operations of a recorded run, instead of those that the seed draws.

use crate::whole::whole;
use anyhow::Context;
use campaign::lookup::open;
use campaign::{InvalidUsage, Opened};
use clap::Args;
use sim::SimulatedRun;
use std::io::BufReader;
use std::path::PathBuf;
use std::sync::Arc;
use workload::recording::RecordingError;
use workload::{Plan, Recording};

/// Which run.
#[derive(Clone, Debug, Args)]
pub struct SeedArguments {
    /// The seed, which decides every packet, crash, clock and random choice.
    #[arg(long, default_value_t = 1, value_parser = whole(0..=u64::MAX))]
    pub seed: u64,
    /// Replay another run of this scenario, with its seed: FILE is the recording.jsonl in its output
    /// folder, the faults and operations of the run. You may remove lines: no line depends on another.
    #[arg(long, value_name = "FILE", conflicts_with = "seed")]
    pub replay: Option<PathBuf>,
}

impl SeedArguments {
    /// The run's seed, and what it replays.
    pub fn read(&self) -> anyhow::Result<(u64, Option<Arc<Recording>>)> {
        let Some(path) = &self.replay else { return Ok((self.seed, None)) };
        let shown = path.display();
        let file = open(path)?;
        match Recording::read(BufReader::new(file)) {
            Ok(recording) => Ok((recording.seed, Some(Arc::new(recording)))),
            Err(RecordingError::Io(error)) => Err(error).with_context(|| format!("{shown}")),
            Err(wrong) => Err(InvalidUsage(format!("{shown}: {wrong}")).into()),
        }
    }
}

/// The run of a scenario; a recording must be of the same one.
pub fn simulated(
    opened: &Opened,
    seed: u64,
    replay: Option<Arc<Recording>>,
) -> Result<SimulatedRun, InvalidUsage> {
    let scenario = Arc::new(opened.scenario.clone());
    // Goose has threads, sockets and a clock of its own.
    if scenario.journeys.is_some() {
        let why = "[journeys] is for real runs (fracas load), and cannot be simulated: remove it";
        return Err(InvalidUsage(why.to_owned()));
    }
    if let Some(recording) = &replay {
        let (of, name) = (&recording.scenario, &scenario.name);
        if of != name {
            return Err(InvalidUsage(format!(
                "--replay: this is a recording of {of}, but the scenario is {name}"
            )));
        }
        let plan = Plan::new(&scenario, seed);
        let unknown = recording.operations.iter().find(|operation| !plan.knows(operation));
        if let Some(operation) = unknown {
            return Err(InvalidUsage(format!(
                "--replay: operation {} names a user, device or conversation that the scenario lacks",
                operation.id
            )));
        }
        let nodes = sim::nodes(&scenario);
        for (index, fault) in recording.faults.iter().enumerate() {
            let links = fault.links.iter().flat_map(|(from, to)| [from, to]);
            if let Some(node) = fault.nodes.iter().chain(links).find(|node| !nodes.contains(node)) {
                return Err(InvalidUsage(format!(
                    "--replay: fault {} hits {node}, and the scenario has {}",
                    fault.id,
                    nodes.join(", ")
                )));
            }
            if recording.faults[..index].iter().any(|other| other.id == fault.id) {
                return Err(InvalidUsage(format!("--replay: there are two faults {}", fault.id)));
            }
        }
    }
    Ok(SimulatedRun { replay, ..SimulatedRun::new(scenario, seed) })
}
