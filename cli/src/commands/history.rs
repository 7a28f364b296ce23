//! `fracas history`: the history of a simulated run on standard output, for pipes; with its trace, its
//! log and its outcome in between, for `twin`.

use crate::console;
use crate::replay::{SeedArguments, simulated};
use crate::scenario_arguments::ScenarioArguments;
use campaign::followed::STEP;
use campaign::twin::END;
use campaign::{Circumstances, InvalidUsage, Observation, Opening};
use clap::Args;
use ports::entered;
use report::Took;
use sim::SimulatedRun;
use std::io::{BufWriter, Stdout, Write};
use std::sync::{Arc, Mutex};
use verify::history::event::Engine;

/// Print the history of a simulated run.
#[derive(Debug, Args)]
pub struct PrintHistory {
    #[command(flatten)]
    opening: ScenarioArguments,
    #[command(flatten)]
    seed: SeedArguments,
    /// What every host did in every step, the log, and the outcome, which is the exit status.
    #[arg(long)]
    trace: bool,
    /// Reads messages from standard input, and prints the steps that nodes took with them at the end.
    #[arg(long, conflicts_with = "trace")]
    follow: bool,
}

/// Standard output, in order whoever writes. A reader that goes away ends the process, as it would any
/// other filter.
#[derive(Clone)]
struct Output(Arc<Mutex<BufWriter<Stdout>>>);

impl Output {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(BufWriter::with_capacity(1 << 16, std::io::stdout()))))
    }

    fn write(&self, bytes: &[u8]) {
        let mut out = entered(self.0.lock());
        if out.write_all(bytes).is_err() {
            std::process::exit(0);
        }
    }

    fn line(&self, text: &str) {
        self.write(format!("{text}\n").as_bytes());
    }

    fn json(&self, value: &impl serde::Serialize) {
        match serde_json::to_string(value) {
            Ok(text) => self.line(&text),
            Err(error) => self.line(&format!("cannot be written: {error}")),
        }
    }

    fn flush(&self) {
        // As in `write`: nobody reads.
        let _ = entered(self.0.lock()).flush();
    }
}

impl PrintHistory {
    /// Prints it.
    pub fn execute(self) -> anyhow::Result<u8> {
        let (seed, replay) = self.seed.read()?;
        let opened = Opening::from(&self.opening).open_one(seed)?;
        let mut run = simulated(&opened, seed, replay)?;
        if self.follow {
            let read = serde_json::from_reader(std::io::stdin());
            run.follow = read.map_err(|error| InvalidUsage(format!("--follow: {error}")))?;
        }
        let output = Output::new();
        let status =
            if self.trace { Self::traced(run, &output)? } else { Self::plain(run, &output)? };
        output.flush();
        Ok(status)
    }

    fn plain(run: SimulatedRun, output: &Output) -> anyhow::Result<u8> {
        output.json(&workload::header(&run.scenario, run.seed, Engine::Simulated));
        let out = output.clone();
        let run = sim::run(run, Box::new(move |event| out.json(event)), None)?;
        let ended = run.follow(|_| {});
        for step in &ended.path {
            let told = serde_json::to_string(step);
            output.line(&format!("{STEP}{}", told.unwrap_or_default()));
        }
        for doubt in &ended.doubts {
            console::error(doubt);
        }
        Ok(if ended.doubts.is_empty() { 0 } else { 2 })
    }

    fn traced(run: SimulatedRun, output: &Output) -> anyhow::Result<u8> {
        let scenario = run.scenario.clone();
        let header = workload::header(&scenario, run.seed, Engine::Simulated);
        output.json(&header);
        let observation = Observation::begin(header, &scenario, None)?;
        let [out, traces, log] = [(); 3].map(|()| output.clone());
        console::log_to(Box::new(move |bytes| log.write(bytes)));
        let mut observe = observation.sink();
        let sink = Box::new(move |event: &_| {
            out.json(event);
            observe(event);
        });
        let traces = Box::new(move |line: &str| traces.line(line));
        let ended = sim::run(run, sink, Some(traces))?.follow(|_| {});
        for doubt in &ended.doubts {
            output.line(&format!("doubt {doubt}"));
        }
        let concluded = observation.conclude(Circumstances {
            scenario: &scenario,
            tried: None,
            follow: None,
            reproduce: "",
            reproduce_here: "",
            version: crate::VERSION,
            doubts: ended.doubts,
            disorder: None,
            notes: ended.notes,
            plan: None,
            terminal: console::terminal(),
            took: Took { simulated: ended.simulated, ..Took::default() },
        });
        output.line(&format!("{END}{}", concluded.status));
        Ok(concluded.status)
    }
}
