//! Style as a test: the rules of STYLE.md and ARCHITECTURE.md that no other tool checks.
//!
//! One file per check. A check is a function from the repository's files to findings.

mod command_lines;
mod cores;
mod dependencies;
mod headers;
mod homes;
mod invariants;
mod leftovers;
mod lengths;
mod markdown_paths;
mod names;
mod scenario_files;
mod unsafe_code;
mod words;

use crate::repository::{Repository, root};
use crate::{cargo_program, say};
use anyhow::Context;
use std::fmt;
use std::process::Command;

/// Something against a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The file, from the root.
    pub path: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

impl Finding {
    fn new(path: &str, line: usize, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { path: path.into(), line, what: what.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}; {}", self.path, self.line, self.what, self.remedy)
    }
}

type Check = fn(&Repository) -> Vec<Finding>;

/// The checks that look at files; `dependencies` looks at cargo's metadata.
const CHECKS: [Check; 12] = [
    headers::check,
    lengths::check,
    leftovers::check,
    names::check,
    words::check,
    cores::check,
    unsafe_code::check,
    homes::check,
    invariants::check,
    markdown_paths::check,
    scenario_files::check,
    command_lines::check,
];

/// Runs every check on the repository; false if there was a finding.
pub fn run() -> anyhow::Result<bool> {
    let repository = Repository::read(&root())?;
    let mut findings: Vec<Finding> = CHECKS.iter().flat_map(|check| check(&repository)).collect();
    findings.extend(dependencies::check(&metadata()?)?);
    findings.sort();
    for finding in &findings {
        say(&finding.to_string());
    }
    let long = lengths::long_files(&repository);
    say(&format!(
        "tidy: {} files, {} checks, findings: {}; {long} of {} Rust files are longer than {} lines",
        repository.files.len(),
        CHECKS.len() + 1,
        findings.len(),
        repository.rust().count(),
        lengths::LONG,
    ));
    Ok(findings.is_empty())
}

/// What cargo knows of the workspace.
fn metadata() -> anyhow::Result<serde_json::Value> {
    let output = Command::new(cargo_program())
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(root())
        .output()
        .context("running cargo metadata")?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).context("reading the output of cargo metadata")
}

/// Where a check finds something in made-up files: every check must be able to fail.
#[cfg(test)]
fn told(check: Check, files: &[(&str, &str)]) -> Vec<String> {
    let findings = check(&Repository::of(files));
    findings.iter().map(|finding| format!("{}:{}", finding.path, finding.line)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_names_its_place_and_its_remedy() {
        let finding = Finding::new("a/b.rs", 3, "too long", "split it");
        assert_eq!(finding.to_string(), "a/b.rs:3: too long; split it");
    }
}
