//! What every run does with its events: write them down, judge them, measure them; then report.

use crate::opening::WrongUse;
use anyhow::Context;
use ports::entered;
use report::{Measurements, Run, Took};
use scenarios::Scenario;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use verify::history::{Event, Header, Writer};
use verify::{Judge, JudgeOptions, Verdict};

/// Pieces of evidence per invariant.
const EVIDENCE_MAX: usize = 5;

/// The name of the history in a run's folder.
pub const HISTORY: &str = "history.jsonl";

/// Watches one run.
pub struct Observation {
    header: Header,
    judge: Judge,
    measurements: Measurements,
    writer: Option<Writer<BufWriter<File>>>,
    out: Option<PathBuf>,
    /// Why the history is not whole.
    failure: Option<anyhow::Error>,
}

/// An observation that is shared with the thread of the run.
#[derive(Clone)]
pub struct Shared(Arc<Mutex<Option<Observation>>>);

/// What a finished run says.
pub struct Concluded {
    /// The text for the terminal.
    pub text: String,
    /// What the command line `--json` prints.
    pub json: serde_json::Value,
    /// The exit status: 0 if everything came out as the scenario expects, 1 if it did not, 2 if that
    /// is unknown, or if it could not be written down.
    pub status: u8,
    /// What could not be written, and why.
    unwritten: Vec<String>,
}

impl Concluded {
    /// Prints the result.
    pub fn print(&self, json: bool) {
        crate::console::result(&if json { format!("{:#}", self.json) } else { self.text.clone() });
    }

    /// Says what could not be written: after the result, which is what matters.
    pub fn complain(&self) {
        self.unwritten.iter().for_each(|error| crate::console::error(error));
    }
}

/// What is known of a run beyond its events.
pub struct Circumstances<'a> {
    /// The scenario.
    pub scenario: &'a Scenario,
    /// One command that makes the same run again.
    pub reproduce: &'a str,
    /// Why the run says less than it should.
    pub doubts: Vec<String>,
    /// What a reader should know, and the verdict need not.
    pub notes: Vec<String>,
    /// How long it took.
    pub took: Took,
}

impl Shared {
    /// Begins to watch a run, whose folder (if any) is made.
    pub fn begin(header: Header, scenario: &Scenario, out: Option<&Path>) -> anyhow::Result<Self> {
        let writer = out.map(|out| open_history(out, &header)).transpose()?;
        let options = JudgeOptions {
            may_be_idle: scenario.expect.may_be_idle.clone(),
            evidence_max: EVIDENCE_MAX,
            keep: None,
        };
        Ok(Self(Arc::new(Mutex::new(Some(Observation {
            judge: Judge::new(&header, options),
            measurements: Measurements::new(&header),
            header,
            writer,
            out: out.map(Path::to_owned),
            failure: None,
        })))))
    }

    /// Takes the events of the run.
    pub fn sink(&self) -> Box<dyn FnMut(&Event) + Send> {
        let shared = self.clone();
        Box::new(move |event| {
            let mut observation = entered(shared.0.lock());
            if let Some(observation) = observation.as_mut() {
                observation.observe(event);
            }
        })
    }

    /// Violations so far.
    pub fn violations(&self) -> u64 {
        let observation = entered(self.0.lock());
        observation.as_ref().map_or(0, |observation| observation.judge.violations_so_far())
    }

    /// The run is over: judges, and writes the report into its folder.
    pub fn conclude(&self, circumstances: Circumstances<'_>) -> anyhow::Result<Concluded> {
        let observation = entered(self.0.lock()).take();
        observation.context("a run is concluded once")?.conclude(circumstances)
    }
}

fn open_history(out: &Path, header: &Header) -> anyhow::Result<Writer<BufWriter<File>>> {
    std::fs::create_dir_all(out)
        .map_err(|error| WrongUse(format!("--out: cannot make {}: {error}", out.display())))?;
    let path = out.join(HISTORY);
    let file = File::create(&path)
        .map_err(|error| WrongUse(format!("--out: cannot write {}: {error}", path.display())))?;
    Writer::plain(BufWriter::with_capacity(1 << 20, file), header)
        .context("cannot write the history")
}

impl Observation {
    fn observe(&mut self, event: &Event) {
        if let Some(writer) = &mut self.writer
            && let Err(error) = writer.write(event)
        {
            self.failure = Some(error.into());
            self.writer = None;
        }
        self.judge.observe(event);
        self.measurements.observe(event);
    }

    fn conclude(mut self, circumstances: Circumstances<'_>) -> anyhow::Result<Concluded> {
        if let Some(writer) = self.writer.take() {
            // What is dropped unflushed is lost without a word.
            let written = writer.finish().and_then(|mut file| file.flush());
            self.failure = written.err().map(Into::into).or(self.failure);
        }
        // The judge has seen what the file lacks: the verdict stands, but nobody can check it.
        let history = self.out.clone().unwrap_or_default().join(HISTORY);
        let failure = self.failure.map(|error| {
            format!("the history could not be written to its end: {}: {error:#}", history.display())
        });
        let mut judgement = self.judge.finish();
        // What happened to the run comes first: most of what the judge misses follows from it.
        let own: Vec<String> = circumstances.doubts.into_iter().chain(failure.clone()).collect();
        judgement.doubts.retain(|doubt| !own.contains(doubt));
        judgement.doubts.splice(0..0, own);
        if !judgement.doubts.is_empty() && judgement.verdict == Verdict::Valid {
            judgement.verdict = Verdict::Unknown;
        }
        let measured = self.measurements.finish();
        let expectations = report::expectations(circumstances.scenario, &judgement, &measured);
        let scenario_toml = scenarios::effective_toml(circumstances.scenario);
        let run = Run {
            scenario: circumstances.scenario,
            scenario_toml: &scenario_toml,
            header: &self.header,
            judgement: &judgement,
            measured: &measured,
            expectations: &expectations,
            reproduce: circumstances.reproduce,
            version: env!("CARGO_PKG_VERSION"),
            history_file: HISTORY,
            notes: &circumstances.notes,
            took: circumstances.took,
        };
        let written = self.out.as_deref().map_or(Ok(()), |out| report::write(out, &run).map(drop));
        let report = written.context("the report could not be written").err();
        let unwritten: Vec<String> =
            failure.into_iter().chain(report.map(|error| format!("{error:#}"))).collect();
        let text = report::terminal(&run, crate::console::wants_colour(), crate::console::width());
        let json = serde_json::to_value(report::VerdictFile::of(&run))?;
        let status = match judgement.verdict {
            Verdict::Unknown => Verdict::Unknown.exit_code(),
            _ if run.failed() => Verdict::Violated.exit_code(),
            _ if !unwritten.is_empty() => Verdict::Unknown.exit_code(),
            _ => Verdict::Valid.exit_code(),
        };
        Ok(Concluded { text, json, status, unwritten })
    }
}
