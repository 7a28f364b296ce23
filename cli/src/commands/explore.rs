//! `fracas explore`: many seeds, each in a process of its own.

use crate::console::{self, ProgressLine};
use crate::github::{self, Problem};
use crate::sweep::{prepared, show};
use crate::whole::whole;
use crate::{VERSION, interruption};
use anyhow::Context;
use campaign::InvalidUsage;
use campaign::explore::{self, Exploration, Finished, Outcome};
use clap::Args;
use report::folder;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::Instant;

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
    /// values; DIR/SCENARIO/... for several files), a page that links them, and junit.xml.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Also write all runs for CI systems (JUnit) into this file.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Print all runs as JSON instead of tables.
    #[arg(long)]
    json: bool,
    /// Show no progress line.
    #[arg(long)]
    quiet: bool,
}

/// What is told of many runs, and where.
pub(super) struct Told<'a> {
    /// The folder of their folders.
    pub(super) out: Option<&'a Path>,
    /// The file for CI systems.
    pub(super) junit: Option<&'a Path>,
    /// JSON instead of tables.
    pub(super) json: bool,
    /// No progress line.
    pub(super) quiet: bool,
}

impl Explore {
    /// The worst status of all runs: violated is worse than unknown. Interrupted, or without a run of each
    /// scenario, it is at least unknown.
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
        let (out, junit) = (self.out.as_deref(), self.junit.as_deref());
        explored(&wanted, &Told { out, junit, json: self.json, quiet: self.quiet })
    }
}

/// Makes all runs and tells of them: in tables, in a folder, and with a command for each that is not valid.
pub(super) fn explored(wanted: &Exploration, told: &Told) -> anyhow::Result<u8> {
    let Told { out, junit, json, quiet } = *told;
    out.map(prepared).transpose()?;
    // Told before the runs, and not when they are over.
    if let Some(file) = junit
        && !file.parent().is_none_or(|folder| folder.as_os_str().is_empty() || folder.is_dir())
    {
        let why = format!("--junit: there is no folder for {}", file.display());
        return Err(InvalidUsage(why).into());
    }
    if !quiet {
        for note in wanted.notes() {
            console::note(&format!("  {note}"));
        }
    }
    let stop = interruption::listen()?;
    let (total, began) = (wanted.total(), Instant::now());
    let mut progress = ProgressLine::new(quiet);
    let finished = wanted.run(&stop, |done, bad| {
        let left = left(began.elapsed(), done as u64, total);
        let left = left.map(|left| format!(", about {} left", in_words(left)));
        progress
            .show(&format!("{done} of {total} runs, {bad} not valid{}", left.unwrap_or_default()));
    });
    progress.finish();
    let sweep = wanted.sweep(&finished, VERSION);
    if json {
        console::result(&console::pretty(&wanted.json(&finished)));
    } else {
        console::result(&wanted.tables(&finished, console::room()));
        if wanted.is_sweep() {
            show(&sweep);
        }
    }
    if let Some(out) = out {
        let cannot = || format!("cannot write {}", out.display());
        sweep.write(out).with_context(cannot)?;
    }
    for file in out.map(|out| out.join("junit.xml")).into_iter().chain(junit.map(Path::to_owned)) {
        folder::put(&file, wanted.junit(&finished, VERSION))
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    let problems = finished.iter().filter(|one| one.outcome != Outcome::Valid).map(|one| Problem {
        run: wanted.name(one),
        is_error: one.outcome.is_failure(),
        why: one.why(),
        first: one.first.clone(),
        reproduce: wanted.reproduce(one),
    });
    let problems: Vec<Problem> = problems.collect();
    if !json {
        let width = console::terminal().width;
        for one in &problems {
            console::result(&one.told(width));
        }
    }
    github::tell(&sweep, &problems);
    Ok(status(wanted, &finished, *stop.borrow()))
}

/// How it ends, with a word about what was not run.
fn status(wanted: &Exploration, finished: &[Finished], signal: Option<&str>) -> u8 {
    let (done, total) = (finished.len(), wanted.total());
    let without_a_run = wanted.without_a_run(finished);
    if let Some(signal) = signal {
        console::note(&format!("stopped by {signal} after {done} of {total} runs"));
    } else if !without_a_run.is_empty() {
        let none_of = without_a_run.join(", ");
        console::note(&format!("--for: {done} of {total} runs were made, none of {none_of}"));
    }
    let any = |is: fn(Outcome) -> bool| finished.iter().any(|one| is(one.outcome));
    match () {
        () if any(Outcome::is_failure) => 1,
        () if any(|outcome| outcome == Outcome::Unknown) || signal.is_some() => 2,
        () if !without_a_run.is_empty() => 2,
        () => 0,
    }
}

/// How long the rest takes at the pace so far; not before a few runs have shown one.
fn left(elapsed: Duration, done: u64, total: u64) -> Option<Duration> {
    const SHOWN_BY: u64 = 3;
    let rest = total.saturating_sub(done) as f64 / done as f64;
    (done >= SHOWN_BY && done < total).then(|| elapsed.mul_f64(rest))
}

fn in_words(left: Duration) -> String {
    match left.as_secs() {
        seconds @ 0..=99 => format!("{seconds} s"),
        seconds @ 100..=5_999 => format!("{} min", seconds.div_ceil(60)),
        seconds => format!("{:.1} h", seconds as f64 / 3_600.0),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    scenarios::duration::parse(text)
        .ok_or_else(|| "expected a duration, such as 90s or 10m".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_told_by_the_pace_so_far() {
        let left = |seconds, done, total| left(Duration::from_secs(seconds), done, total);
        assert_eq!(left(20, 2, 100), None, "too few to tell");
        assert_eq!(left(20, 4, 100).map(in_words).as_deref(), Some("8 min"));
        assert_eq!(left(20, 100, 100), None);
        assert_eq!(left(60, 4, 8).map(in_words).as_deref(), Some("60 s"));
        assert_eq!(left(600, 3, 300).map(in_words).as_deref(), Some("16.5 h"));
    }
}
