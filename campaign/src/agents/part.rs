//! The folder of one agent: its history and what it says of itself. Nothing is judged.

use super::file::{AgentFile, Ended, FORMAT};
use crate::InvalidUsage;
use crate::observation::{HISTORY, open_history};
use ports::entered;
use report::folder::{self, Place};
use scenarios::Scenario;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use verify::history::{Clock, Event, Header, Writer};

/// After so much of the run what was written is readable, whatever becomes of the process.
const READABLE_US: u64 = 500_000;

/// The folder, shared with the thread of the run.
#[derive(Clone)]
pub struct PartFolder(Arc<Mutex<Inner>>);

struct Inner {
    header: Header,
    out: PathBuf,
    writer: Option<Writer<BufWriter<File>>>,
    flushed_at: u64,
    failure: Option<String>,
    /// The number of the run, as soon as it is known.
    file: Option<AgentFile>,
}

impl PartFolder {
    /// Begins it: it is made, or freed of an earlier run. The header says which agent it is.
    ///
    /// # Errors
    /// The folder or its history cannot be made, or the folder has other files.
    pub fn begin(header: Header, scenario: &Scenario, out: &Path) -> Result<Self, InvalidUsage> {
        let writer = Some(open_history(out, &header)?);
        let toml = scenarios::effective_toml(scenario);
        folder::put(&out.join("scenario.toml"), toml)
            .map_err(|error| InvalidUsage(format!("--out: cannot write scenario.toml: {error}")))?;
        let (flushed_at, failure, file) = (0, None, None);
        let out = out.to_owned();
        Ok(Self(Arc::new(Mutex::new(Inner { header, out, writer, flushed_at, failure, file }))))
    }

    /// Takes the events of the run.
    pub fn sink(&self) -> Box<dyn FnMut(&Event) + Send> {
        let shared = self.clone();
        Box::new(move |event| entered(shared.0.lock()).take(event))
    }

    /// It has met the others: from here on its folder says whose it is.
    pub fn met(&self, run: u64, clock: Clock, version: &str, options: &[String]) {
        let mut inner = entered(self.0.lock());
        let header = inner.header.clone();
        let (run, version) = (format!("{run:016x}"), version.to_owned());
        let options = options.to_vec();
        let file = AgentFile { format: FORMAT, run, version, options, header, clock, ended: None };
        if let Err(error) = file.write(&inner.out) {
            inner.fail(&error);
        }
        inner.file = Some(file);
    }

    /// The run is over; what could not be written.
    pub fn conclude(&self, clock: Option<Clock>, mut ended: Ended) -> Vec<String> {
        let mut inner = entered(self.0.lock());
        if let Some(writer) = inner.writer.take() {
            let place = Place::of(&inner.out.join(HISTORY));
            let written = writer.finish().and_then(|mut file| file.flush());
            if let Err(error) = written.and_then(|()| place.appear()) {
                inner.fail(&error);
            }
        }
        let mut unwritten: Vec<String> = inner.failure.iter().cloned().collect();
        ended.doubts.extend(unwritten.clone());
        if let Some(mut file) = inner.file.take() {
            file.clock = clock.unwrap_or(file.clock);
            file.ended = Some(ended);
            let error = file.write(&inner.out).err();
            unwritten.extend(error.map(|error| format!("cannot write the agent's end: {error}")));
        }
        unwritten
    }
}

impl Inner {
    fn take(&mut self, event: &Event) {
        let Some(writer) = &mut self.writer else { return };
        let mut written = writer.write(event);
        if event.at >= self.flushed_at + READABLE_US {
            self.flushed_at = event.at;
            written = written.and_then(|()| writer.flush());
        }
        if let Err(error) = written {
            self.fail(&error);
            self.writer = None;
        }
    }

    fn fail(&mut self, error: &io::Error) {
        let out = self.out.display();
        self.failure.get_or_insert_with(|| {
            format!("the history could not be written to its end: {out}: {error}")
        });
    }
}
