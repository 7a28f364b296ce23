//! `fracas compare`: two sets of runs, figure by figure.

use super::percent;
use crate::{VERSION, console};
use anyhow::Context;
use campaign::InvalidUsage;
use clap::Args;
use report::compare::{FailIf, compare, sides};
use std::path::PathBuf;

/// What a reader of the help may want to know.
const MEANING: &str = "\
Whole runs are compared, not messages: give six or more a side, each of another seed. With fewer than \
three nothing is said, and with five no figure of so many can be worse or better. A figure is worse or \
better only if the runs show it, and same only if they show that.

Figures: accept_p50, accept_p90, accept_p99, accept_p99.9, accept_calm_p99, \
accept_under_faults_p99, accept_steady_p99 (behind the warm-up), the same of deliver, requests_p50 and requests_p99 \
(of the REST interface), requests_failed, throughput, cpu_per_message, refused, recovery.

Exit status: 0 no --fail-if holds, 1 one does, 2 that cannot be told or a folder cannot be compared.";

/// Compare two sets of runs: is B better than A, worse, or the same?
#[derive(Debug, Args)]
#[command(after_help = MEANING)]
pub struct Compare {
    /// The folders of runs (their --out) to compare with; one with several runs in it stands for all.
    #[arg(value_name = "A", required = true)]
    a: Vec<PathBuf>,
    /// The folders of the runs in question.
    #[arg(value_name = "B", required = true, last = true)]
    b: Vec<PathBuf>,
    /// A change by no more than this is none.
    #[arg(long, value_name = "PERCENT", default_value = "5%", value_parser = percent)]
    tolerance: f64,
    /// Exit with status 1 if this is shown: 'accept_p99 > 10%' (from A to B). Repeat it for several.
    #[arg(long, value_name = "CHANGE")]
    fail_if: Vec<FailIf>,
    /// Compare also runs whose verdict is not valid.
    #[arg(long)]
    any_verdict: bool,
    /// The folder for the comparison as a page, as Markdown, as JSON and for CI (JUnit).
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print the comparison as JSON instead of a table.
    #[arg(long)]
    json: bool,
}

impl Compare {
    /// Compares them; the status says what became of the demands.
    pub fn execute(self) -> anyhow::Result<u8> {
        if let Some(option) = self.b.iter().find(|path| path.to_string_lossy().starts_with("--")) {
            let why =
                format!("{}: options stand before the --, after it are folders", option.display());
            return Err(InvalidUsage(why).into());
        }
        let (a, b) = sides(&self.a, &self.b, self.any_verdict)?;
        let compared = compare(&a, &b, self.tolerance, &self.fail_if, VERSION);
        if self.json {
            console::result(&serde_json::to_string_pretty(&compared)?);
        } else {
            let terminal = console::terminal();
            console::result(&report::comparison(&compared, terminal.colour, terminal.width));
        }
        if let Some(out) = &self.out {
            compared.write(out, &a, &b).context("the comparison could not be written")?;
        }
        Ok(compared.status())
    }
}
