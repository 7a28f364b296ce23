//! `fracas fidelity`: what the simulator foretells, beside what real processes do.

use crate::{VERSION, console};
use anyhow::Context;
use campaign::InvalidUsage;
use clap::Args;
use report::gather::gather;
use std::path::PathBuf;

/// What a reader of the help may want to know.
const MEANING: &str = "\
Runs are found in the folders and in all folders within them, wherever --out has put them: those of \
`fracas run` and `fracas explore` are simulated, those of `fracas load` real. Runs of scenarios that are the \
same to the last key make a pair. Writes fidelity.html and fidelity.md.

Verdicts agree if those that are known are the same; the times of recovery if they are within a factor of two, \
to the second that they are known to.

Exit status: 0 all agree, 1 a verdict or a recovery differs, 2 that is unknown of one or a run could not be \
read, 64 no scenario was run in both worlds.";

/// Put simulated and real runs of the same scenarios side by side.
#[derive(Debug, Args)]
#[command(after_help = MEANING)]
pub struct Fidelity {
    /// Folders with runs in them.
    #[arg(value_name = "DIR", required = true)]
    folders: Vec<PathBuf>,
    /// The folder for the page; if it is not given, the only DIR.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Fidelity {
    /// Prints the table and writes the page.
    pub fn execute(self) -> anyhow::Result<u8> {
        let out = super::report::page_folder(self.out.as_ref(), &self.folders)?;
        let gathered =
            gather(&self.folders).map_err(|error| InvalidUsage(ports::with_causes(&error)))?;
        let cannot = || format!("cannot write {}", out.display());
        std::fs::create_dir_all(out).with_context(cannot)?;
        let fidelity = report::Fidelity::of(gathered, out, VERSION)?;
        for error in &fidelity.unreadable {
            console::note(&ports::with_causes(error));
        }
        if fidelity.is_empty() {
            fidelity.alone().iter().for_each(|alone| console::note(alone));
            let why = "no scenario was run in both worlds: `fracas explore SCENARIO --seeds 1 --out DIR/simulated`, \
                       then `fracas load SCENARIO --out DIR/real`";
            return Err(InvalidUsage(why.to_owned()).into());
        }
        fidelity.write(out).with_context(cannot)?;
        let terminal = console::terminal();
        console::result(&report::fidelity_table(&fidelity, terminal.colour, terminal.width));
        console::note(&format!("{}", out.join("fidelity.html").display()));
        Ok(fidelity.status())
    }
}
