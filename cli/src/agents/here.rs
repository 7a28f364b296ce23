//! `fracas load --agents N`: so many generators on this machine, and one result.

use super::part::words;
use crate::console::{self, ProgressLine};
use crate::{VERSION, interruption};
use anyhow::Context;
use campaign::agents::{Parts, Told};
use campaign::{Concluded, InvalidUsage};
use loadgen::DataFolder;
use loadgen::agents::Agent;
use loadgen::agents::processes::{Generators, Line};
use report::folder;
use scenarios::scenario::Try;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;
use tokio::time::Instant;

/// Between two looks at the processes.
const LOOK: Duration = Duration::from_millis(100);
/// How long those that are left may take, once one of them has ended.
const PATIENCE: Duration = Duration::from_mins(2);
/// How long the lead may take to notice that somebody has ended.
const NOTICE: Duration = Duration::from_secs(3);
/// Where their parts are, in the folder of the run.
const AGENTS: &str = "agents";
/// Of its complaints so many bytes are told.
const LAST_WORDS: usize = 2_000;

/// Agents of one run on this machine.
pub struct OnThisMachine<'a> {
    pub of: u32,
    /// Of `fracas load`, but for what makes one of them an agent.
    pub arguments: Vec<String>,
    pub out: Option<&'a Path>,
    pub tried: Option<Try>,
    pub reproduce: String,
    pub notes: Vec<String>,
    pub quiet: bool,
}

impl OnThisMachine<'_> {
    /// Starts them, waits for their end, and merges what they have left.
    pub fn run(self, stop: &interruption::Receiver) -> anyhow::Result<Concluded> {
        // Before anything is started: it may be refused.
        let prepared = self.out.map_or(Ok(()), folder::prepare);
        prepared.map_err(|error| InvalidUsage(format!("--out: {error}")))?;
        let temporary = if self.out.is_none() { Some(DataFolder::new(None)?) } else { None };
        let within =
            self.out.or(temporary.as_ref().map(DataFolder::path)).unwrap_or(Path::new("."));
        let within = within.join(AGENTS);
        std::fs::create_dir_all(&within)
            .with_context(|| format!("cannot make {}", within.display()))?;
        let mut line = ProgressLine::new(self.quiet);
        let ends = self.tend(&within, stop, &mut line)?;
        let folders: Vec<PathBuf> = (0..self.of).map(|k| within.join(k.to_string())).collect();
        if let Some(k) = (0..self.of).find(|k| !folders[*k as usize].join("agent.json").exists()) {
            line.finish();
            let named = Agent { number: k, of: self.of };
            let words: Vec<String> = (0..self.of).map(|k| last_words(&within, k)).collect();
            let words = words.concat();
            anyhow::bail!("the generators did not meet: {named} never did{words}");
        }
        line.show("merging and judging");
        let concluded = Parts::open(&folders)?.merge(
            self.out,
            Told {
                tried: self.tried,
                reproduce: Some(self.reproduce),
                doubts: ends,
                notes: self.notes,
                version: VERSION,
                terminal: console::terminal(),
            },
        );
        line.finish();
        Ok(concluded?)
    }

    /// Until all of them have ended: those that a signal has ended.
    fn tend(
        &self,
        within: &Path,
        stop: &interruption::Receiver,
        line: &mut ProgressLine,
    ) -> anyhow::Result<Vec<String>> {
        let program = std::env::current_exe().context("cannot find the path of this program")?;
        let mut generators = Generators::new();
        self.start(&mut generators, &program, within, (0, "127.0.0.1:0"))?;
        let (mut is_passed_on, mut first_end) = (false, None);
        loop {
            match generators.heard(LOOK) {
                Some(Line::Listens(at)) => {
                    for number in 1..self.of {
                        self.start(&mut generators, &program, within, (number, &at))?;
                    }
                }
                Some(Line::Progress(at)) => line.show(&words(&at)),
                None => {}
            }
            if let Some(signal) = *stop.borrow()
                && !is_passed_on
            {
                is_passed_on = true;
                generators.pass_on(signal);
            }
            let ended = generators.ended();
            let is_lead_over = ended.iter().any(|(number, _)| *number == 0);
            if ended.len() == self.of as usize || is_lead_over && ended.len() == generators.len() {
                return Ok(ended.iter().filter_map(|end| self.told(end)).collect());
            }
            if ended.is_empty() {
                continue;
            }
            let since = *first_end.get_or_insert_with(Instant::now);
            if since.elapsed() > NOTICE && !is_lead_over && !is_passed_on {
                // One that has never met the lead is missed by nobody.
                is_passed_on = true;
                generators.pass_on("SIGTERM");
            }
            if since.elapsed() > PATIENCE {
                generators.kill();
            }
        }
    }

    fn start(
        &self,
        generators: &mut Generators,
        program: &Path,
        within: &Path,
        (number, lead): (u32, &str),
    ) -> anyhow::Result<()> {
        let mut arguments = self.arguments.clone();
        let out = within.join(number.to_string()).display().to_string();
        let (agent, here) = (format!("{number}/{}", self.of), self.of.to_string());
        for (name, value) in
            [("--agent", &*agent), ("--agents-here", &here), ("--lead", lead), ("--out", &out)]
        {
            arguments.extend([name.to_owned(), value.to_owned()]);
        }
        arguments.push("--ends-with-stdin".to_owned());
        let started = generators.start(program, &arguments, &log(within, number));
        started.with_context(|| format!("cannot start {}", Agent { number, of: self.of }))
    }

    /// What became of one that did not end by itself.
    fn told(&self, (number, status): &(usize, ExitStatus)) -> Option<String> {
        let agent = Agent { number: u32::try_from(*number).ok()?, of: self.of };
        status.code().is_none().then(|| format!("{agent} did not end by itself: {status}"))
    }
}

fn log(within: &Path, number: u32) -> PathBuf {
    within.join(format!("{number}.log"))
}

fn last_words(within: &Path, number: u32) -> String {
    let text = std::fs::read_to_string(log(within, number)).unwrap_or_default();
    let text = text.trim();
    let from = text.char_indices().rev().nth(LAST_WORDS).map_or(0, |(at, _)| at);
    if text.is_empty() { String::new() } else { format!("\n  agent {number}: {}", &text[from..]) }
}
