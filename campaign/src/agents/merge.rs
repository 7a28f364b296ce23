//! The folders of all agents of a run become one result.

use super::file::AgentFile;
use crate::InvalidUsage;
use crate::lookup::read_text;
use crate::observation::{Circumstances, Concluded, HISTORY, Observation, Terminal};
use crate::reproduce::reproduce;
use report::Took;
use report::folder::Place;
use scenarios::Scenario;
use scenarios::scenario::Try;
use scenarios::shell::quoted;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::Duration;
use verify::history::merge::Source;
use verify::history::{Agent, Clock, Header, Merge, Reader};

/// All agents of one run, the lead first.
pub struct Parts {
    scenario: Scenario,
    header: Header,
    all: Vec<One>,
}

struct One {
    folder: PathBuf,
    agent: Agent,
    file: AgentFile,
}

/// What is said of the run beside what the agents say.
pub struct Told<'a> {
    /// Which of its scenario's tries the run is, if it is one.
    pub tried: Option<Try>,
    /// One command that reproduces the run; without it, that of its scenario alone.
    pub reproduce: Option<String>,
    /// Why the run says less than it should.
    pub doubts: Vec<String>,
    /// What a reader should know.
    pub notes: Vec<String>,
    /// The version of this build.
    pub version: &'a str,
    /// For whom the text is.
    pub terminal: Terminal,
}

impl Parts {
    /// The agents of these folders.
    ///
    /// # Errors
    /// One is no folder of an agent, they are of different runs or scenarios, or one is missing or there twice.
    pub fn open(folders: &[PathBuf]) -> Result<Self, InvalidUsage> {
        let mut parts =
            folders.iter().map(|folder| One::open(folder)).collect::<Result<Vec<_>, _>>()?;
        parts.sort_by_key(|one| one.agent.number);
        let first = parts.first().ok_or_else(|| InvalidUsage("no folder is given".to_owned()))?;
        for one in &parts[1..] {
            first.same_run(one)?;
        }
        are_all(&parts)?;
        let text = first.scenario_text()?;
        for one in &parts[1..] {
            if one.scenario_text()? != text {
                let why = "have different scenarios (scenario.toml)";
                return Err(first.differ(one, why));
            }
        }
        let header = whole(&parts);
        let path = first.folder.join("scenario.toml").display().to_string();
        let scenario = scenarios::parse_with_seed(&text, &path, &[], header.seed)
            .map_err(|mistakes| {
                InvalidUsage(format!("{path} is not a valid scenario\n{mistakes}"))
            })?
            .scenario;
        Ok(Self { scenario, header, all: parts })
    }

    /// Merges them, judges the whole, and writes its report into a folder, if one is given.
    ///
    /// # Errors
    /// The folder cannot be used.
    pub fn merge(self, out: Option<&Path>, told: Told<'_>) -> Result<Concluded, InvalidUsage> {
        let same = out.and_then(|out| out.canonicalize().ok());
        if self.all.iter().any(|one| same.is_some() && one.folder.canonicalize().ok() == same) {
            let why = "--out: the result cannot go into the folder of an agent, whose history it would replace";
            return Err(InvalidUsage(why.to_owned()));
        }
        let observation = Observation::begin(self.header.clone(), &self.scenario, out)?;
        let mut doubts = told.doubts;
        let mut sources = Vec::new();
        for one in &self.all {
            sources.push(one.source(&mut doubts));
        }
        let (mut merge, mut sink) = (Merge::new(sources), observation.sink());
        for event in &mut merge {
            sink(&event);
        }
        let disorder = disorder(self.error_us(), merge.quickest_us());
        doubts.extend(self.said(|ended| &ended.doubts));
        let notes = [told.notes, vec![self.clocks()], self.said(|ended| &ended.notes)].concat();
        let seed = self.header.seed;
        let here = reproduce("load", Path::new("scenario.toml"), seed, &[]);
        let lead = &self.all.first().expect("there is a lead").file;
        let options = lead.options.iter().map(|word| quoted(word)).map(|word| format!(" {word}"));
        let here = format!("{here}{} --agents {}", options.collect::<String>(), self.all.len());
        let reproduce = told.reproduce.unwrap_or_else(|| here.clone());
        Ok(observation.conclude(Circumstances {
            scenario: &self.scenario,
            tried: told.tried.as_ref(),
            follow: None,
            reproduce: &reproduce,
            reproduce_here: &here,
            version: told.version,
            doubts,
            disorder,
            notes,
            took: self.took(),
            plan: None,
            terminal: told.terminal,
        }))
    }

    /// By how much the order of what two agents saw may be wrong.
    fn error_us(&self) -> u64 {
        error_us(&self.all)
    }

    /// How the clocks compare, in a sentence.
    fn clocks(&self) -> String {
        let (count, error) = (self.all.len(), self.error_us());
        let led = &self.all[1..];
        if led.is_empty() {
            return "1 generator, as an agent".to_owned();
        }
        if led.iter().all(|one| one.file.clock.is_shared) {
            return format!(
                "{count} generators of one host, whose clock they share: events of two of them are in order within {error} us"
            );
        }
        let began = led.iter().map(|one| {
            let Clock { offset_us, error_us, .. } = one.file.clock;
            format!("agent {} {offset_us} us (± {error_us})", one.agent.number)
        });
        format!(
            "{count} generators on several hosts: events of two of them are in order within {error} us; \
             after the lead began {}",
            began.collect::<Vec<_>>().join(", ")
        )
    }

    /// What the agents say at their ends.
    fn said(&self, what: impl Fn(&super::Ended) -> &Vec<String>) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        for one in &self.all {
            for told in one.file.ended.iter().flat_map(&what) {
                let number = one.agent.number;
                let told =
                    if number == 0 { told.clone() } else { format!("agent {number}: {told}") };
                all.push(told);
            }
        }
        all
    }

    fn took(&self) -> Took {
        let ended = || self.all.iter().filter_map(|one| one.file.ended.as_ref());
        let wall = Duration::from_micros(ended().map(|ended| ended.wall_us).max().unwrap_or(0));
        let cpu = Duration::from_micros(ended().map(|ended| ended.cpu_us).sum());
        Took { ended_at_ms: None, wall, cpu, simulated: wall }
    }
}

impl One {
    fn open(folder: &Path) -> Result<Self, InvalidUsage> {
        let file = AgentFile::read(folder)?;
        let Some(agent) = file.header.agent else {
            let shown = folder.display();
            return Err(InvalidUsage(format!(
                "{shown}: agent.json does not say which agent it is of"
            )));
        };
        Ok(Self { folder: folder.to_owned(), agent, file })
    }

    fn differ(&self, other: &Self, why: &str) -> InvalidUsage {
        InvalidUsage(format!("{} and {} {why}", self.folder.display(), other.folder.display()))
    }

    fn same_run(&self, other: &Self) -> Result<(), InvalidUsage> {
        let (mine, theirs) = (&self.file, &other.file);
        let header = |file: &AgentFile| Header { agent: None, ..file.header.clone() };
        if mine.run != theirs.run || self.agent.of != other.agent.of {
            let why = format!(
                "are of different runs: {} of run {}, and {} of run {}",
                self.agent, mine.run, other.agent, theirs.run
            );
            return Err(self.differ(other, &why));
        }
        if header(mine) != header(theirs) {
            return Err(
                self.differ(other, "do not agree on what was run (the headers of their histories)")
            );
        }
        Ok(())
    }

    fn scenario_text(&self) -> Result<String, InvalidUsage> {
        read_text(&self.folder.join("scenario.toml"))
    }

    /// Its events; what a killed agent has left of its history is called otherwise.
    fn source(
        &self,
        doubts: &mut Vec<String>,
    ) -> Source<Box<dyn Iterator<Item = verify::history::reader::Item>>> {
        let place = Place::of(&self.folder.join(HISTORY));
        let whole = self.folder.join(HISTORY);
        let opened = File::open(&whole).or_else(|_| File::open(place.now()));
        let read = opened
            .map_err(|error| error.to_string())
            .and_then(|file| Reader::new(BufReader::new(file)).map_err(|error| error.to_string()));
        let events: Box<dyn Iterator<Item = verify::history::reader::Item>> = match read {
            Ok(reader) if *reader.header() == self.file.header => Box::new(reader),
            Ok(_) => {
                doubts.push(format!("{}: its history is of another run", self.agent));
                Box::new(std::iter::empty())
            }
            Err(why) => {
                doubts.push(format!("{}: its history cannot be read: {why}", self.agent));
                Box::new(std::iter::empty())
            }
        };
        Source::new(self.agent, self.file.clock, events)
    }
}

/// Whether every agent of a run is there, once.
fn are_all(parts: &[One]) -> Result<(), InvalidUsage> {
    for pair in parts.windows(2) {
        if pair[0].agent.number == pair[1].agent.number {
            return Err(pair[0].differ(&pair[1], &format!("are both of {}", pair[0].agent)));
        }
    }
    let of = parts.first().map_or(0, |one| one.agent.of);
    let there: BTreeSet<u32> = parts.iter().map(|one| one.agent.number).collect();
    let missing: Vec<String> =
        (0..of).filter(|number| !there.contains(number)).map(|number| number.to_string()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let missing = missing.join(", ");
    Err(InvalidUsage(format!(
        "the run had {of} agents; missing: {missing}. Without what their users saw nothing can be judged"
    )))
}

fn error_us(parts: &[One]) -> u64 {
    let mut errors: Vec<u64> = parts.iter().map(|one| one.file.clock.error_us).collect();
    errors.sort_unstable();
    errors.iter().rev().take(2).sum()
}

/// The header of the whole. Its deadlines allow for the error of the clocks.
fn whole(parts: &[One]) -> Header {
    let (mut header, error) = (parts[0].file.header.clone(), error_us(parts));
    header.agent = None;
    let deadlines = &mut header.deadlines;
    for deadline in [
        &mut deadlines.delivered_us,
        &mut deadlines.stuck_us,
        &mut deadlines.recovered_us,
        &mut deadlines.revocation_us,
    ]
    .into_iter()
    .chain(&mut deadlines.pushed_us)
    {
        *deadline = deadline.saturating_add(error);
    }
    header
}

/// Why the order of events says less than it should: the cluster may have answered between two events that
/// the clocks cannot tell apart.
fn disorder(error_us: u64, quickest_us: Option<u64>) -> Option<String> {
    let quickest = quickest_us.filter(|quickest| *quickest <= error_us)?;
    Some(format!(
        "the clocks of the generators are known to {error_us} us only, and the cluster answered within \
         {quickest} us: what two of them saw may have happened in the other order"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use verify::history::fixture;

    fn one(number: u32, error_us: u64) -> One {
        let agent = Agent { number, of: 3 };
        let header = Header { agent: Some(agent), ..fixture::header() };
        let clock = Clock { error_us, ..Clock::default() };
        let (run, version) = ("7".to_owned(), "1".to_owned());
        let options = Vec::new();
        let file = AgentFile { format: 1, run, version, options, header, clock, ended: None };
        One { folder: format!("part-{number}").into(), agent, file }
    }

    #[test]
    fn clocks_that_are_slower_than_the_cluster_leave_the_order_open() {
        assert_eq!(disorder(3, Some(4)), None);
        assert_eq!(disorder(900, None), None, "nobody was answered: nothing hangs on it");
        let told = disorder(400, Some(400)).expect("it may be the other way round");
        assert!(told.contains("known to 400 us only"), "{told}");
    }

    #[test]
    fn deadlines_allow_for_the_two_worst_clocks() {
        let parts = [one(0, 0), one(1, 30), one(2, 400)];
        let (before, after) = (&parts[1].file.header.deadlines, whole(&parts).deadlines);
        assert_eq!(after.delivered_us, before.delivered_us + 430);
        assert_eq!(after.pushed_us, before.pushed_us.map(|us| us + 430));
        assert_eq!(whole(&parts).agent, None);
    }

    #[test]
    fn every_agent_is_there_once() {
        let told = |numbers: &[u32]| {
            let parts: Vec<One> = numbers.iter().map(|number| one(*number, 0)).collect();
            are_all(&parts).err().map(|InvalidUsage(why)| why)
        };
        assert_eq!(told(&[0, 1, 2]), None);
        assert!(told(&[1]).is_some_and(|why| why.contains("missing: 0, 2")));
        assert!(told(&[0, 1, 1, 2]).is_some_and(|why| why.contains("are both of agent 1 of 3")));
    }
}
