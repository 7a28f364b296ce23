//! `fracas merge`: the parts of several generators, one result.

use crate::{VERSION, console};
use campaign::agents::{Parts, Told};
use clap::Args;
use std::path::PathBuf;

/// Merge the folders of all agents of a run, and judge the whole.
///
/// Exit status: that of the run as one generator would have made it (0 as the scenario expects, 1 not, 2
/// unknown); 64 if the folders are not all agents of one run, each once.
#[derive(Debug, Args)]
pub struct MergeParts {
    /// The folders that `fracas load --agent K/N --out DIR` has written, of all agents of one run.
    #[arg(required = true, value_name = "DIR")]
    folders: Vec<PathBuf>,
    /// The folder for the report and the merged history.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print the verdict as JSON instead of a table.
    #[arg(long)]
    json: bool,
}

impl MergeParts {
    /// Merges, judges, reports.
    pub fn execute(self) -> anyhow::Result<u8> {
        let told = Told {
            tried: None,
            reproduce: None,
            doubts: Vec::new(),
            notes: Vec::new(),
            version: VERSION,
            terminal: console::terminal(),
        };
        let concluded = Parts::open(&self.folders)?.merge(self.out.as_deref(), told)?;
        console::conclusion(&concluded, self.json);
        console::unwritten(&concluded);
        Ok(concluded.status)
    }
}
