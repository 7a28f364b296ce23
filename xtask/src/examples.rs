//! The examples of the documentation and of `--help`, run one after another from a folder that was empty, as a reader
//! would. Those that are not run have a reason; that all of them can be read, and name what there is, is a test of
//! `cli`. The README's are run by CI.

use crate::repository::root;
use crate::{asserting, say};
use anyhow::Context;
use std::path::Path;
use std::process::Stdio;

/// What is run, in this order, and the exit status that it must have.
const RUN: &[(&str, i32)] = &[
    ("fracas scenarios", 0),
    ("fracas explain", 0),
    ("fracas explain no_duplicate_delivery", 0),
    ("fracas explain kill", 0),
    ("fracas schema > schema.json", 0),
    ("fracas completions bash > ~/.local/share/bash-completion/completions/fracas", 0),
    ("fracas completions zsh > ~/.zfunc/_fracas", 0),
    ("fracas completions fish > ~/.config/fish/completions/fracas.fish", 0),
    ("fracas man > fracas.1", 0),
    ("fracas man --out ~/.local/share/man/man1", 0),
    ("fracas run smoke", 0),
    ("fracas run owner-killed --set design.accept=before_persist --out lost", 1),
    ("fracas run lost/scenario.toml --replay lost/recording.jsonl", 1),
    ("fracas run smoke --set cluster.gateways=2,4", 0),
    ("fracas explore order-race --until-caught --set design.requeue=back", 1),
    (
        "fracas explore scenarios/safety/order-race.toml --seeds 20 --until-caught --set design.requeue=back",
        1,
    ),
    ("fracas explore smoke --seeds 6 --out before", 0),
    ("fracas explore smoke --seeds 6 --out after", 0),
    ("fracas compare before -- after", 0),
    ("fracas compare --fail-if 'accept_p99 > 10%' --fail-if 'throughput < -5%' before -- after", 0),
    ("fracas report before after --out both", 0),
    ("fracas explore smoke owner-killed --seeds 3 --out runs/simulated", 0),
    ("fracas report runs", 0),
    ("fracas try owner-killed", 0),
    ("fracas try smoke retry-duplicates --seeds 5", 0),
    ("fracas twin smoke --seed 7", 0),
    ("fracas run smoke --out run", 0),
    ("fracas judge run/history.jsonl.gz", 0),
    ("fracas new mine", 0),
    ("fracas new mine --from owner-killed", 0),
    ("fracas new my-scenarios/mine", 0),
    ("fracas scenarios my-scenarios", 0),
];

/// Folders that a reader has made.
const FOLDERS: [&str; 1] = ["my-scenarios"];

/// What is only read, by how it begins, and why.
const READ_ONLY: &[(&str, &str)] = &[
    (
        "fracas load",
        "real sockets for minutes, many on engines: cargo xtask pages runs one, engines others",
    ),
    ("fracas knee", "many real loads, one after another"),
    ("fracas fidelity", "it needs real loads: cargo xtask pages runs it"),
    ("fracas merge", "it needs the folders of several generators: cli/tests/several_generators.rs"),
    ("fracas explore smoke --seeds 200 --for 10m", "ten minutes"),
    ("fracas doctor", "its status is that of the machine: cli/tests/from_an_empty_folder.rs"),
    ("fracas cluster", "it runs until it is ended: cli/tests/hostile_clients.rs"),
    ("fracas stack", "RabbitMQ, PostgreSQL, HAProxy and Prometheus: cargo xtask stack runs it"),
    ("fracas node", "it runs until it is ended, one process of several: fracas load starts them"),
    ("fracas probe", "it needs a running cluster"),
    ("fracas check-data", "it needs the data of a cluster: cli/tests/check_data.rs"),
];

/// Runs the examples, and says which of them does not end as it must.
pub fn run() -> anyhow::Result<bool> {
    let folder = root().join("target/examples");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).context("removing earlier examples")?;
    }
    for made in FOLDERS {
        std::fs::create_dir_all(folder.join(made)).context("making the folder of the examples")?;
    }
    for (line, wanted) in RUN {
        // It overwrites nothing, and each of its examples is the first.
        if line.starts_with("fracas new ") {
            let _ = std::fs::remove_file(folder.join("mine.toml"));
        }
        let status = status(&folder, line)?;
        if status != Some(*wanted) {
            say(&format!("{line}\nended with {status:?} instead of {wanted}, in target/examples"));
            return Ok(false);
        }
    }
    say(&format!("{} examples ended as they must; only read:", RUN.len()));
    for (begin, why) in READ_ONLY {
        say(&format!("  {begin}: {why}"));
    }
    Ok(true)
}

/// How a line ends. Paths into the home of the reader lead into the folder, and those into the library to it.
fn status(folder: &Path, line: &str) -> anyhow::Result<Option<i32>> {
    let library = format!("{}/", root().join("scenarios").display());
    let words = words(line).into_iter().skip(1);
    let words = words.map(|word| match word.strip_prefix("scenarios/") {
        Some(rest) => format!("{library}{rest}"),
        None => word.replace("~/", "home/"),
    });
    let ended = asserting::fracas()?
        .args(words)
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    Ok(ended.context("running fracas")?.code())
}

/// The words of a line, without quotes, up to what redirects its output.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for (number, part) in line.split('\'').enumerate() {
        let is_quoted = number % 2 == 1;
        for c in part.chars() {
            match c {
                ' ' if !is_quoted => words.push(String::new()),
                c => words.last_mut().expect("there is always one").push(c),
            }
        }
    }
    let end = words.iter().position(|word| word == ">").unwrap_or(words.len());
    words.truncate(end);
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::fs::read_to_string;

    /// What only goes before others, and stands nowhere.
    const BEFORE: [&str; 3] = [
        "fracas explore smoke --seeds 6 --out after",
        "fracas run smoke --out run",
        "fracas new my-scenarios/mine",
    ];

    /// What stands in the blocks of the pages, and in the help.
    fn documented() -> BTreeSet<String> {
        let mut pages = vec![root().join("README.md"), root().join("reports/README.md")];
        let docs = std::fs::read_dir(root().join("docs")).expect("there are pages");
        pages.extend(
            docs.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_file()),
        );
        let mut lines = BTreeSet::new();
        for page in pages {
            let text = read_to_string(page).expect("a page").replace("\\\n", " ");
            let mut in_block = false;
            for line in text.lines().map(str::trim) {
                in_block ^= line.starts_with("```");
                let line = line.trim_start_matches("$ ");
                let line = line.split(" #").next().unwrap_or(line).trim_end();
                if in_block && line.starts_with("fracas ") {
                    lines.insert(line.to_owned());
                }
            }
        }
        let help = read_to_string(root().join("cli/src/command_line.rs")).expect("it is there");
        let literals = help.split('"').filter(|literal| literal.starts_with("fracas "));
        lines.extend(literals.filter(|line| !line.contains('{')).map(str::to_owned));
        lines
    }

    /// The README shows what a run prints: its last line reproduces it.
    const PRINTED: &str = "fracas run scenarios/safety/owner-killed.toml --seed 1 ";

    #[test]
    fn every_example_is_run_or_has_a_reason() {
        let documented = documented();
        let is_run = |line: &str| RUN.iter().any(|(run, _)| *run == line);
        let reason = |line: &str| READ_ONLY.iter().find(|(begin, _)| line.starts_with(begin));
        for line in documented.iter().filter(|line| !line.starts_with(PRINTED)) {
            assert!(is_run(line) != reason(line).is_some(), "run it, or say why not: {line}");
        }
        for (line, _) in RUN {
            let is_shown = documented.contains(*line);
            assert!(is_shown != BEFORE.contains(line), "it stands nowhere: {line}");
        }
        for (begin, _) in READ_ONLY {
            assert!(documented.iter().any(|line| line.starts_with(begin)), "no such line: {begin}");
        }
    }

    #[test]
    fn a_line_has_words() {
        assert_eq!(words("fracas a 'b > c' --d > e"), ["fracas", "a", "b > c", "--d"]);
    }
}
