//! The runs of both sides, read from their folders with all mistakes at once.

use crate::past_run::{PastRun, PastRunError, VERDICT, runs_in};
use crate::sweep::PAGES;
use std::error::Error;
use std::path::{Path, PathBuf};
use verify::verdict::Verdict;

/// Why folders cannot be compared: a sentence for each.
#[derive(Debug, thiserror::Error)]
#[error("cannot compare:\n  {}", .0.join("\n  "))]
pub struct CannotCompare(pub Vec<String>);

/// Reads the runs of A and of B; a folder of runs stands for all of them. Runs that are not valid are refused, unless `any_verdict`.
///
/// # Errors
/// A folder is none of a run, or given twice, or its run is not valid.
pub fn sides(
    a: &[PathBuf],
    b: &[PathBuf],
    any_verdict: bool,
) -> Result<(Vec<PastRun>, Vec<PastRun>), CannotCompare> {
    let (a, b) = (all_runs(a), all_runs(b));
    let mut wrong = twice(&a, &b);
    let mut read = |folders: &[PathBuf]| -> Vec<PastRun> {
        let runs = folders.iter().filter_map(|folder| match PastRun::read(folder) {
            Ok(run) if any_verdict || run.file.verdict == Verdict::Valid => Some(run),
            Ok(run) => {
                wrong.push(not_valid(&run));
                None
            }
            Err(error) => {
                wrong.push(told(&error));
                None
            }
        });
        runs.collect()
    };
    let sides = (read(&a), read(&b));
    if wrong.is_empty() { Ok(sides) } else { Err(CannotCompare(wrong)) }
}

/// The folders with the runs in them, where `explore` has written them; its page of links is none.
fn all_runs(folders: &[PathBuf]) -> Vec<PathBuf> {
    let is_page = |path: &Path| path.is_file() && PAGES.iter().any(|page| path.ends_with(page));
    let expanded = folders.iter().filter(|path| !is_page(path)).flat_map(|path| {
        let runs = if path.join(VERDICT).is_file() { Vec::new() } else { runs_in(path) };
        match runs.as_slice() {
            [] => vec![path.clone()],
            runs => runs.iter().map(|run| path.join(run)).collect(),
        }
    });
    expanded.collect()
}

fn not_valid(run: &PastRun) -> String {
    let file = &run.file;
    let violated = file.findings.iter().filter(|found| found.verdict == Verdict::Violated);
    let why = match file.verdict {
        Verdict::Violated => violated.map(|found| found.invariant.clone()).collect(),
        _ => file.doubts.clone(),
    };
    let verdict = format!("{:?}", file.verdict).to_lowercase();
    format!(
        "{}: its verdict is {verdict} ({}); --any-verdict compares it all the same",
        run.folder.display(),
        why.join("; ")
    )
}

fn told(error: &PastRunError) -> String {
    let source = error.source().map(|source| format!(": {source}"));
    format!("{error}{}", source.unwrap_or_default())
}

/// Folders that are given twice: the same run is no second observation.
fn twice(a: &[PathBuf], b: &[PathBuf]) -> Vec<String> {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let all: Vec<(&str, &PathBuf)> =
        a.iter().map(|path| ("A", path)).chain(b.iter().map(|path| ("B", path))).collect();
    let mut wrong = Vec::new();
    for (index, (side, path)) in all.iter().enumerate() {
        if let Some((earlier, _)) = all[..index].iter().find(|(_, one)| real(one) == real(path)) {
            let path = path.display();
            wrong.push(if earlier == side {
                format!("{path} is given twice for {side}: one run is one observation")
            } else {
                format!("{path} is on both sides")
            });
        }
    }
    wrong
}
