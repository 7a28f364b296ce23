//! `cargo xtask fuzz`: the fuzz targets, one after another, by cargo-fuzz on the stable compiler. Without a
//! sanitizer: the code has no `unsafe`, so what is looked for is panics, failed assertions, hangs and memory
//! without bounds.

use crate::repository::root;
use crate::{cargo_program, say, tool};
use anyhow::Context;
use std::path::Path;
use std::process::{Command, Stdio};

/// Each target, and the folders of the repository in which it finds examples.
const TARGETS: [(&str, &[&str]); 10] = [
    ("configuration", &["deploy"]),
    ("frames", &[]),
    ("history", &[]),
    ("issuer", &[]),
    ("oauth", &[]),
    ("records", &[]),
    ("recording", &[]),
    ("scenario", &["scenarios/faults", "scenarios/load", "scenarios/safety"]),
    ("token", &[]),
    ("trunk", &[]),
];
/// Pages with examples in them, lines of JSON: for whom each is one, and for whom all of them are.
const PAGES: [(&str, &str, Examples); 2] = [
    ("frames", "docs/protocol.md", Examples::Lines),
    ("history", "reports/README.md", Examples::Whole),
];

/// What an example of a page is.
#[derive(Clone, Copy, Debug)]
enum Examples {
    Lines,
    Whole,
}

/// How long each is run, unless it is told otherwise, in seconds.
const SECONDS: u32 = 60;
/// More memory than that, in MiB, and a longer time for one input, in seconds, are findings.
const MEMORY: u32 = 2_048;
const HANGS_AFTER: u32 = 10;

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub struct Wanted<'a> {
    targets: Vec<&'a str>,
    seconds: u32,
}

/// Reads `[TARGET]... [--for SECONDS]`.
pub fn wanted<'a>(words: &[&'a str]) -> Result<Wanted<'a>, String> {
    let mut wanted = Wanted { targets: Vec::new(), seconds: SECONDS };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if *word == "--for" {
            let seconds = words.next().and_then(|seconds| seconds.parse().ok());
            wanted.seconds = seconds.filter(|seconds| *seconds > 0).ok_or("--for SECONDS")?;
        } else if TARGETS.iter().any(|(name, _)| name == word) {
            wanted.targets.push(word);
        } else {
            let known: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
            return Err(format!("there is no target {word}, only {}", known.join(", ")));
        }
    }
    Ok(wanted)
}

/// Runs them up to the first finding; an error says why there is no cargo-fuzz.
pub fn run(wanted: &Wanted) -> anyhow::Result<bool> {
    tool::have("fuzz")?;
    for (name, examples) in TARGETS {
        if !wanted.targets.is_empty() && !wanted.targets.contains(&name) {
            continue;
        }
        say(&format!("== fuzz {name}"));
        if !one(name, examples, wanted.seconds)? {
            say(&format!("== fuzz {name} found something; again: cargo xtask fuzz {name}"));
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a target found nothing. What it has learnt stays in `target/fuzz`, and what it has found, too.
fn one(name: &str, examples: &[&str], seconds: u32) -> anyhow::Result<bool> {
    let folder = root().join("target/fuzz");
    let [corpus, found] = ["corpus", "found"].map(|kind| folder.join(kind).join(name));
    for folder in [&corpus, &found] {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    for (_, page, kind) in PAGES.iter().filter(|(target, ..)| *target == name) {
        put_examples(&std::fs::read_to_string(root().join(page))?, *kind, &corpus)?;
    }
    // What cannot be built has not been looked at.
    let built = cargo_fuzz("build", name).status().context("running cargo fuzz")?;
    anyhow::ensure!(built.success(), "{name} cannot be built");
    let status = cargo_fuzz("run", name)
        .arg(&corpus)
        .args(examples)
        .arg("--")
        .args([format!("-max_total_time={seconds}"), format!("-rss_limit_mb={MEMORY}")])
        .args([format!("-timeout={HANGS_AFTER}"), "-print_final_stats=1".to_owned()])
        .arg(format!("-artifact_prefix={}/", found.display()))
        .status()
        .context("running cargo fuzz")?;
    Ok(status.success())
}

fn cargo_fuzz(what: &str, target: &str) -> Command {
    let mut command = Command::new(cargo_program());
    command
        .args(["fuzz", what, "--sanitizer", "none", "--features", "fuzzer"])
        .args(["--target-dir", "target/fuzz/build", target])
        .env_remove("RUSTFLAGS")
        .current_dir(root())
        .stdin(Stdio::null());
    command
}

/// Puts the examples of a page into a corpus.
fn put_examples(page: &str, kind: Examples, corpus: &Path) -> anyhow::Result<()> {
    let lines = page.lines().filter(|line| line.starts_with("{\"") && line.ends_with('}'));
    let examples: Vec<String> = match kind {
        Examples::Lines => lines.map(str::to_owned).collect(),
        Examples::Whole => vec![lines.flat_map(|line| [line, "\n"]).collect()],
    };
    for (number, example) in examples.iter().enumerate() {
        let path = corpus.join(format!("example-{number}"));
        std::fs::write(&path, example).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn targets_and_their_time_are_read() {
        let read = wanted(&["frames", "--for", "600"]);
        assert_eq!(read, Ok(Wanted { targets: vec!["frames"], seconds: 600 }));
        assert!(wanted(&["frame"]).is_err_and(|why| why.contains("configuration, frames")));
        assert!(wanted(&["--for", "0"]).is_err());
    }

    #[test]
    fn every_target_is_run() {
        let files = std::fs::read_dir(root().join("fuzz/targets")).expect("they are there");
        let files = files.map(|file| file.expect("readable").path());
        let stem =
            |path: std::path::PathBuf| path.file_stem().map(|it| it.to_string_lossy().into());
        let files: BTreeSet<String> = files.filter_map(stem).collect();
        assert_eq!(files, TARGETS.map(|(name, _)| name.to_owned()).into());
    }
}
