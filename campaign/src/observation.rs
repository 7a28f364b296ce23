//! What every run does with its events: write them down, judge them, measure them; then report.

use crate::{InvalidUsage, doubts};
use ports::{entered, with_causes};
use report::folder::{self, Place};
use report::latency_log::LATENCY_LOG;
use report::{Live, LiveLatencies, Machine, Measurements, Planned, Run, Took, VerdictFile};
use scenarios::Scenario;
use scenarios::faults::Injection;
use scenarios::scenario::Try;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tokio::sync::watch;
use verify::history::event::Engine;
use verify::history::path::Message;
use verify::history::{Event, Header, PathStep, What, Writer};
use verify::{Judge, JudgeOptions, Verdict};
use workload::plan::Kind;
use workload::{Plan, Recording};

/// Pieces of evidence per invariant.
const EVIDENCE_MAX: usize = 5;

/// The name of the history in a run's folder.
pub const HISTORY: &str = "history.jsonl.gz";

/// The name of the list of faults and operations beside it.
pub const RECORDING: &str = "recording.jsonl";

/// The observers of one run, shared with the thread of the run.
#[derive(Clone)]
pub struct Observation(Arc<Mutex<Option<Observers>>>);

struct Observers {
    header: Header,
    judge: Judge,
    measurements: Measurements,
    writer: Option<Writer<BufWriter<File>>>,
    /// The faults so far.
    faults: Vec<Injection>,
    out: Option<PathBuf>,
    /// Why the history is not whole.
    failure: Option<io::Error>,
    /// Hears of a threshold that cannot be met any more.
    unmeetable: watch::Sender<Option<String>>,
}

/// How wide text may be, and whether in colour.
#[derive(Clone, Copy, Debug)]
pub struct Terminal {
    /// Columns.
    pub width: u16,
    /// ANSI colours.
    pub colour: bool,
}

/// What a finished run says.
pub struct Concluded {
    /// The text for the terminal.
    pub text: String,
    /// The same for programs.
    pub file: VerdictFile,
    /// The exit status: 0 if everything came out as the scenario expects, 1 if it did not, 2 if that
    /// is unknown, or if it could not be written down.
    pub status: u8,
    /// What could not be written, and why.
    pub unwritten: Vec<String>,
}

/// Makes a run again and follows some of its messages; nothing, if it did not come out as before.
pub type Follow<'a> = &'a dyn Fn(&[Message]) -> Vec<PathStep>;

/// What is known of a run beyond its events.
pub struct Circumstances<'a> {
    /// The scenario.
    pub scenario: &'a Scenario,
    /// Which of its tries the run is, if it is one.
    pub tried: Option<&'a Try>,
    /// Follows messages that a violation is about, if the run can be made again.
    pub follow: Option<Follow<'a>>,
    /// One command that reproduces the run.
    pub reproduce: &'a str,
    /// The same from within the run's folder, with the scenario as it was run.
    pub reproduce_here: &'a str,
    /// The version of this build.
    pub version: &'a str,
    /// Why the run says less than it should.
    pub doubts: Vec<String>,
    /// Why the order of what was seen is not certain: then no violation is, either.
    pub disorder: Option<String>,
    /// What a reader should know, and the verdict need not.
    pub notes: Vec<String>,
    /// How long it took.
    pub took: Took,
    /// What the users did, if the run can be replayed: its operations are written beside the history.
    pub plan: Option<&'a Plan>,
    /// For whom the text is.
    pub terminal: Terminal,
}

impl Observation {
    /// Begins to watch a run, whose folder (if any) is made, or freed of an earlier run.
    ///
    /// # Errors
    /// The folder or its history cannot be made, or the folder has other files.
    pub fn begin(
        header: Header,
        scenario: &Scenario,
        out: Option<&Path>,
    ) -> Result<Self, InvalidUsage> {
        let writer = out.map(|out| open_history(out, &header)).transpose()?;
        let thresholds = &scenario.expect.thresholds;
        let mut measurements = Measurements::new(&header);
        if scenario.load.has_one_rate() {
            measurements = measurements.of_one_rate();
        }
        // A simulated run goes on: its time costs little, and its seed decides all of it.
        if thresholds.abort_after.is_some() && header.engine == Engine::Real {
            measurements = measurements.bounded_by(thresholds, planned(scenario, header.seed));
        }
        if let Some(out) = out {
            measurements = measurements.logged_to(Box::new(create(&out.join(LATENCY_LOG))?));
        }
        let options = JudgeOptions {
            may_be_idle: scenario.expect.may_be_idle.clone(),
            evidence_max: EVIDENCE_MAX,
            keep: None,
        };
        Ok(Self(Arc::new(Mutex::new(Some(Observers {
            judge: Judge::new(&header, options),
            measurements,
            header,
            writer,
            faults: Vec::new(),
            out: out.map(Path::to_owned),
            failure: None,
            unmeetable: watch::channel(None).0,
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

    /// Gets the threshold that cannot be met any more, in a sentence, if the scenario wants to end then.
    pub fn unmeetable(&self) -> watch::Receiver<Option<String>> {
        let observation = entered(self.0.lock());
        observation.as_ref().expect("a run that is not concluded").unmeetable.subscribe()
    }

    /// How the run stands.
    pub fn live(&self) -> Live {
        let observation = entered(self.0.lock());
        observation
            .as_ref()
            .map_or_else(Live::default, |it| it.measurements.live(it.judge.violations_so_far()))
    }

    /// The latencies so far.
    pub fn latencies(&self) -> LiveLatencies {
        let observation = entered(self.0.lock());
        let latencies = observation.as_ref().map(|it| it.measurements.latencies());
        latencies.unwrap_or_default()
    }

    /// Violations so far.
    pub fn violations(&self) -> u64 {
        let observation = entered(self.0.lock());
        observation.as_ref().map_or(0, |observation| observation.judge.violations_so_far())
    }

    /// The run is over: judges, and writes the report into its folder.
    pub fn conclude(&self, circumstances: Circumstances<'_>) -> Concluded {
        let observers = entered(self.0.lock()).take();
        observers.expect("a run is concluded once").conclude(circumstances)
    }
}

/// How much a run will do at most.
fn planned(scenario: &Scenario, seed: u64) -> Planned {
    let (plan, mut planned) = (Plan::new(scenario, seed), Planned::default());
    for operation in plan.schedule(plan.users()) {
        match operation.kind {
            Kind::Send | Kind::Poison => {}
            Kind::Reply => planned.replies += 1,
            Kind::Edit => planned.edits += 1,
            Kind::Delete => planned.deletes += 1,
            _ => continue,
        }
        planned.operations += 1;
    }
    if scenario.load.visits.is_some_and(|visits| visits.replies > 0.0) {
        // What is shown brings replies of which no plan knows the number.
        (planned.operations, planned.replies) = (u64::MAX / 2, u64::MAX / 2);
    }
    planned
}

pub(crate) fn open_history(
    out: &Path,
    header: &Header,
) -> Result<Writer<BufWriter<File>>, InvalidUsage> {
    folder::prepare(out).map_err(|error| InvalidUsage(format!("--out: {error}")))?;
    let path = out.join(HISTORY);
    Writer::gzip(create(&path)?, header).map_err(|error| not_written(&path, &error))
}

/// A file that appears when it is whole.
fn create(path: &Path) -> Result<BufWriter<File>, InvalidUsage> {
    let file = File::create(Place::of(path).now()).map_err(|error| not_written(path, &error))?;
    Ok(BufWriter::with_capacity(1 << 16, file))
}

fn not_written(path: &Path, error: &io::Error) -> InvalidUsage {
    InvalidUsage(format!("--out: cannot write {}: {error}", Place::of(path).now().display()))
}

impl Observers {
    fn observe(&mut self, event: &Event) {
        if let Some(writer) = &mut self.writer
            && let Err(error) = writer.write(event)
        {
            self.failure = Some(error);
            self.writer = None;
        }
        if let What::FaultBegan { fault, kind, drawn, injected: Some(injected), .. } = &event.is {
            let injection = Injection::read(*fault, kind, *drawn, injected);
            self.faults.push(injection.expect("it was injected by a world of ours"));
        }
        self.judge.observe(event);
        self.measurements.observe(event);
        if let Some(why) = self.measurements.unmeetable()
            && self.unmeetable.borrow().is_none()
        {
            self.unmeetable.send_replace(Some(why.to_owned()));
        }
    }

    fn conclude(mut self, circumstances: Circumstances<'_>) -> Concluded {
        if let Some(writer) = self.writer.take() {
            // What is dropped unflushed is lost without a word.
            let place = Place::of(&self.out.clone().unwrap_or_default().join(HISTORY));
            let written = writer.finish().and_then(|mut file| file.flush());
            let written = written.and_then(|()| place.appear());
            self.failure = written.err().or(self.failure);
        }
        // The judge has seen what the file lacks: the verdict stands, but nobody can check it.
        let history = self.out.clone().unwrap_or_default().join(HISTORY);
        let failure = self.failure.map(|error| {
            format!("the history could not be written to its end: {}: {error}", history.display())
        });
        let said = [circumstances.doubts, failure.iter().cloned().collect()].concat();
        let judgement = doubts::told(self.judge.finish(), circumstances.disorder, said);
        let (measured, logged) = self.measurements.finish_logged();
        let log = self.out.as_deref().and_then(|out| {
            let place = Place::of(&out.join(LATENCY_LOG));
            let error = logged.and_then(|()| place.appear()).err()?;
            Some(format!("cannot write {}: {error}", out.join(LATENCY_LOG).display()))
        });
        // Only the page of a report draws it.
        let follow = circumstances.follow.filter(|_| self.out.is_some());
        let messages = follow.map_or_else(Vec::new, |_| report::messages(&judgement));
        let path = follow.filter(|_| !messages.is_empty());
        let path = path.map_or_else(Vec::new, |follow| follow(&messages));
        let expectations = report::expectations(circumstances.scenario, &judgement, &measured);
        let scenario_toml = scenarios::effective_toml(circumstances.scenario);
        let run = Run {
            scenario: circumstances.scenario,
            scenario_toml: &scenario_toml,
            tried: circumstances.tried,
            path: &path,
            header: &self.header,
            judgement: &judgement,
            measured: &measured,
            expectations: &expectations,
            reproduce: circumstances.reproduce,
            reproduce_here: circumstances.reproduce_here,
            version: circumstances.version,
            history_file: HISTORY,
            notes: &circumstances.notes,
            took: circumstances.took,
            machine: &Machine::here(),
        };
        let written = self.out.as_deref().map_or(Ok(()), |out| report::write(out, &run).map(drop));
        let report = written
            .err()
            .map(|error| format!("the report could not be written: {}", with_causes(&error)));
        let recording = self.out.as_deref().zip(circumstances.plan).and_then(|(out, plan)| {
            let recording = Recording {
                scenario: circumstances.scenario.name.clone(),
                seed: self.header.seed,
                faults: self.faults,
                operations: plan.schedule(plan.users()).collect(),
            };
            record(&out.join(RECORDING), &recording).err()
        });
        let unwritten: Vec<String> =
            failure.into_iter().chain(log).chain(report).chain(recording).collect();
        let Terminal { width, colour } = circumstances.terminal;
        let text = report::terminal(&run, colour, width);
        let file = VerdictFile::of(&run);
        let any = |met| expectations.iter().any(|expectation| expectation.met == met);
        // Such a run is unknown because it ended, and it ended because of what is certain.
        let is_certain = measured.is_broken_for_certain(&expectations);
        let status = match judgement.verdict {
            Verdict::Unknown if is_certain => Verdict::Violated.exit_code(),
            Verdict::Unknown => Verdict::Unknown.exit_code(),
            _ if any(Some(false)) => Verdict::Violated.exit_code(),
            _ if any(None) || !unwritten.is_empty() => Verdict::Unknown.exit_code(),
            _ => Verdict::Valid.exit_code(),
        };
        Concluded { text, file, status, unwritten }
    }
}

fn record(path: &Path, recording: &Recording) -> Result<(), String> {
    let place = Place::of(path);
    let written = File::create(place.now()).and_then(|file| {
        let mut out = BufWriter::new(file);
        recording.write(&mut out)?;
        out.flush()?;
        place.appear()
    });
    written.map_err(|error| format!("cannot write {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_that_nobody_plans_leave_open_how_much_a_run_will_do() {
        let file = include_str!("../../scenarios/safety/visits.toml");
        let planned_with = |replies: &str| {
            let set = format!("load.visits.replies={replies}");
            let set = scenarios::Override::parse(&set).expect("a key and a value");
            let scenario =
                scenarios::parse(file, "visits.toml", &[set]).expect("it is in the library");
            planned(&scenario, 1)
        };
        let none = planned_with("0");
        assert!((100..100_000).contains(&none.operations), "{none:?}");
        let some = planned_with("0.5");
        assert!(some.operations > 1 << 60 && some.edits == none.edits, "{some:?}");
    }
}
