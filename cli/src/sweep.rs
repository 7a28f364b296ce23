//! Several values of keys, a run each: one after another, then all side by side.

use crate::github::{self, Problem};
use crate::{VERSION, console, interruption};
use anyhow::Context;
use campaign::{Concluded, InvalidUsage, Opened, Opening};
use report::sweep::{Summary, Sweep, SweepRun};
use report::{VerdictFile, folder};
use std::path::Path;

/// Where the results go.
pub struct SweepOutput<'a> {
    /// The folder of the runs' folders; of a single run its own.
    pub out: Option<&'a Path>,
    /// JSON instead of text.
    pub json: bool,
    /// The seed of all runs.
    pub seed: u64,
}

/// Makes a run of every combination and prints its result; at the end all of them in one table and, in
/// their folder, on one page. The status of the worst, and at least that of an unknown one if not all were made. A
/// single run is no sweep: it has no table.
pub fn run(
    opening: &Opening,
    opened: &[Opened],
    output: &SweepOutput,
    stop: &interruption::Receiver,
    mut one: impl FnMut(&Opened, Option<&Path>) -> anyhow::Result<Concluded>,
) -> anyhow::Result<u8> {
    let SweepOutput { out, json, seed } = *output;
    let mut sweep = Sweep {
        title: opening.scenario.display().to_string(),
        keys: opening.keys()?,
        rows: Vec::new(),
        version: VERSION.to_owned(),
    };
    if let [only] = opened {
        let concluded = one(only, out)?;
        console::conclusion(&concluded, json);
        console::unwritten(&concluded);
        let summary = Some(Summary::of(&concluded.file));
        let first = concluded.file.first.clone();
        sweep.add(only.values.clone(), SweepRun { first, seed, folder: None, summary });
        github::tell(&sweep, Vec::from_iter(problem(&concluded)).as_slice());
        return Ok(concluded.status);
    }
    out.map(prepared).transpose()?;
    let (mut worst, mut files) = (0, Vec::<VerdictFile>::new());
    let (mut problems, mut broke) = (Vec::new(), None);
    let total = opened.len();
    for (number, opened) in (1..).zip(opened) {
        if !json {
            console::result(&format!("{}\n", opened.overrides.join(" ")));
        }
        let name = format!("{number}");
        let concluded = match one(opened, out.map(|out| out.join(&name)).as_deref()) {
            Ok(concluded) => concluded,
            // What the others have shown is told all the same.
            Err(error) if !files.is_empty() => {
                broke = Some(error.context(format!("run {number} of {total}")));
                break;
            }
            Err(error) => return Err(error),
        };
        worst = worst.max(severity(concluded.status));
        if !json {
            console::conclusion(&concluded, false);
        }
        console::unwritten(&concluded);
        problems.extend(problem(&concluded));
        let summary = Some(Summary::of(&concluded.file));
        let folder = out.map(|_| name);
        let first = concluded.file.first.clone();
        sweep.add(opened.values.clone(), SweepRun { first, seed, folder, summary });
        files.push(concluded.file);
        if stop.borrow().is_some() {
            break;
        }
    }
    if json {
        // One document, whatever the number of runs.
        console::result(&console::pretty(&files));
    } else {
        show(&sweep);
    }
    github::tell(&sweep, &problems);
    if let Some(out) = out {
        sweep.write(out).with_context(|| format!("cannot write {}", out.display()))?;
    }
    if let Some(signal) = (*stop.borrow()).filter(|_| files.len() < total && broke.is_none()) {
        console::note(&format!("stopped by {signal} after {} of {total} runs", files.len()));
        worst = worst.max(severity(2));
    }
    match broke {
        // A violation stands, whatever keeps the next run from being made.
        Some(error) if BY_SEVERITY[worst] == 1 => console::error(&format!("{error:#}")),
        Some(error) => return Err(error),
        None => {}
    }
    Ok(BY_SEVERITY[worst])
}

/// Why a run did not come out as expected.
fn problem(concluded: &Concluded) -> Option<Problem> {
    let file = &concluded.file;
    // The outcome names what is violated.
    let unmet = file.expectations.iter().filter(|one| one.met == Some(false));
    let unmet = unmet.map(|one| format!("{}: wanted {}; got {}", one.what, one.wanted, one.got));
    let known: Vec<String> = unmet.collect();
    let why = if known.is_empty() { file.doubts.join("; ") } else { known.join("; ") };
    (concluded.status != 0).then(|| Problem {
        run: format!("{}, seed {}", file.scenario, file.seed),
        is_error: concluded.status == 1,
        why,
        first: file.first.clone(),
        reproduce: file.reproduce.clone(),
    })
}

/// The folder of a sweep, without the page of an earlier one.
pub fn prepared(out: &Path) -> Result<(), InvalidUsage> {
    folder::prepare(out).map_err(|error| InvalidUsage(format!("--out: {error}")))
}

/// All runs side by side.
pub fn show(sweep: &Sweep) {
    let table = report::sweep_table(sweep, console::terminal().colour, console::room());
    console::result(&format!("\n{table}"));
}

/// Violated (1) is worse than unknown (2), unknown worse than valid (0).
const BY_SEVERITY: [u8; 3] = [0, 2, 1];

fn severity(status: u8) -> usize {
    BY_SEVERITY.iter().position(|known| *known == status).unwrap_or(1)
}
