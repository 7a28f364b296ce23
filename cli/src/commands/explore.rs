//! `fracas explore`: many seeds, each in a process of its own.

use crate::console::{self, ProgressLine};
use crate::sweep::{prepared, show};
use crate::whole::whole;
use crate::{VERSION, interruption};
use anyhow::Context;
use campaign::explore::{self, Exploration, Outcome};
use clap::Args;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Simulate scenarios with many seeds.
#[derive(Debug, Args)]
pub struct Explore {
    /// Scenario files, or names of scenarios of the library (`fracas scenarios`).
    #[arg(required = true)]
    scenarios: Vec<PathBuf>,
    /// How many seeds to run of each.
    #[arg(long, default_value_t = 20, value_parser = whole(1..=u64::MAX))]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1, value_parser = whole(0..=u64::MAX))]
    from: u64,
    /// Start no more runs after this long: `10m`.
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    within: Option<Duration>,
    /// Processes at a time; one per processor by default.
    #[arg(long, value_parser = whole(1..=1_000_usize))]
    jobs: Option<usize>,
    /// Override a key of the scenarios. Several values (`cluster.gateways=2,4`) run every seed with each.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Stop a scenario at its first seed whose verdict is not valid.
    #[arg(long)]
    until_caught: bool,
    /// The folder for the results: a folder per run (DIR/SEED; DIR/N/SEED for the Nth of several
    /// values; DIR/SCENARIO/... for several files) and a page that links them.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Show no progress line.
    #[arg(long)]
    quiet: bool,
}

impl Explore {
    /// The worst status of all runs: violated is worse than unknown. Interrupted, it is at least
    /// unknown.
    pub fn execute(self) -> anyhow::Result<u8> {
        let jobs = self.jobs.unwrap_or_else(|| {
            std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
        });
        let wanted = explore::Explore {
            scenarios: self.scenarios,
            overrides: self.overrides,
            from: self.from,
            seeds: self.seeds,
            within: self.within,
            jobs,
            until_caught: self.until_caught,
            out: self.out.clone(),
            world: explore::World::Simulated,
        }
        .checked()?;
        explored(&wanted, self.out.as_deref(), self.quiet)
    }
}

/// Makes all runs and tells of them: in tables, in a folder, and with a command for each that is not valid.
pub(super) fn explored(
    wanted: &Exploration,
    out: Option<&Path>,
    quiet: bool,
) -> anyhow::Result<u8> {
    out.map(prepared).transpose()?;
    let stop = interruption::listen()?;
    let total = wanted.total();
    let mut progress = ProgressLine::new(quiet);
    let finished = wanted.run(&stop, |done, bad| {
        progress.show(&format!("{done} of {total} runs, {bad} not valid"));
    });
    progress.finish();
    console::result(&wanted.tables(&finished));
    let sweep = wanted.sweep(&finished, VERSION);
    if wanted.is_sweep() {
        show(&sweep);
    }
    if let Some(out) = out {
        sweep.write(out).with_context(|| format!("cannot write {}", out.display()))?;
    }
    for one in finished.iter().filter(|one| one.outcome != Outcome::Valid) {
        console::result(&format!("{}: {}", one.why(), wanted.reproduce(one)));
    }
    let signal = *stop.borrow();
    if let Some(signal) = signal {
        let done = finished.len();
        console::result(&format!("stopped by {signal} after {done} of {total} runs"));
    }
    let any = |outcome| finished.iter().any(|one| one.outcome == outcome);
    Ok(match () {
        () if any(Outcome::Violated) => 1,
        () if any(Outcome::Unknown) || signal.is_some() => 2,
        () => 0,
    })
}

fn duration(text: &str) -> Result<Duration, String> {
    scenarios::duration::parse(text)
        .ok_or_else(|| "expected a duration, such as 90s or 10m".to_owned())
}
