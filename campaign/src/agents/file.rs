//! `agent.json`: which part of which run a folder holds.

use crate::InvalidUsage;
use report::folder;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;
use verify::history::{Clock, Header};

/// Its name in the folder of an agent.
pub const AGENT: &str = "agent.json";
/// What is written; anything newer is refused.
pub const FORMAT: u32 = 1;

/// What a folder says of its agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentFile {
    /// [`FORMAT`].
    pub format: u32,
    /// The number of the run, in hexadecimal digits: the same for all its agents.
    pub run: String,
    /// The version of its program.
    pub version: String,
    /// What makes the run the one that it is, beside its scenario and its seed: words of its command.
    #[serde(default)]
    pub options: Vec<String>,
    /// The first line of its history, with its number.
    pub header: Header,
    /// Its clock, compared with the lead's.
    pub clock: Clock,
    /// What it says at its end; not there if it did not come to that.
    pub ended: Option<Ended>,
}

/// What an agent says at its end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Why it says less than it should.
    pub doubts: Vec<String>,
    /// What a reader should know.
    pub notes: Vec<String>,
    /// How long it took.
    pub wall_us: u64,
    /// What it took of the processors, with what it started.
    pub cpu_us: u64,
}

#[derive(Deserialize)]
struct Format {
    format: u32,
}

impl AgentFile {
    /// That of a folder.
    ///
    /// # Errors
    /// The folder is none of an agent, or of a newer version.
    pub fn read(of: &Path) -> Result<Self, InvalidUsage> {
        let (path, shown) = (of.join(AGENT), of.display());
        let text = std::fs::read_to_string(&path).map_err(|error| {
            let why = match error.kind() {
                io::ErrorKind::NotFound => format!("it has no {AGENT}"),
                _ => format!("cannot read its {AGENT}: {error}"),
            };
            InvalidUsage(format!(
                "{shown} is not the folder of an agent of fracas load: {why} (a lead that never met all its \
                 agents leaves none)"
            ))
        })?;
        let wrong = |error: serde_json::Error| InvalidUsage(format!("{shown}: {AGENT}: {error}"));
        let Format { format } = serde_json::from_str(&text).map_err(wrong)?;
        if format > FORMAT {
            let why = format!("expected format {FORMAT} or older, found {format}");
            return Err(InvalidUsage(format!("{shown}: {AGENT}: {why}")));
        }
        serde_json::from_str(&text).map_err(wrong)
    }

    /// Writes it into a folder.
    ///
    /// # Errors
    /// The disk refused.
    pub fn write(&self, into: &Path) -> io::Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        folder::put(&into.join(AGENT), text)
    }
}
