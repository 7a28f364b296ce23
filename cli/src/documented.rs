//! Every command line in the documentation, read by the real command line: a subcommand, an option, a scenario or a
//! key that there is no longer is found here. What is cheap is run as well, by `cargo xtask check` (`examples`).

use crate::command_line::command;
use crate::explain::topic;
use campaign::Opening;
use clap::ArgMatches;
use clap::error::ErrorKind;
use std::path::{Path, PathBuf};

/// Where command lines stand; a folder means the pages in it.
const PAGES: [&str; 9] = [
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "docs",
    "docs/decisions",
    "reports/README.md",
    "reports/published/README.md",
    "benches/README.md",
];

/// What starts the program in them.
const STARTS: [&str; 2] = ["fracas ", "cargo run --release -- "];

/// What stands for a value, and a value.
const STANDS_FOR: [(&str, &str); 12] = [
    ("...", "127.0.0.1:7800"),
    ("HOST:PORT[/PATH]", "127.0.0.1:7800"),
    ("scenarios/safety/NAME.toml", "scenarios/safety/smoke.toml"),
    ("SCENARIO...", "smoke"),
    ("SCENARIO", "smoke"),
    ("ENGINES", "postgres"),
    ("DIR...", "folder"),
    ("A…", "folder"),
    ("B…", "folder"),
    ("NAME", "mine"),
    ("K/N", "0/2"),
    ("N", "2"),
];

/// The last line of a log, which begins like a command line.
const LOGGED: &str = "fracas panicked at ";

/// A command line, and where it stands.
struct Line {
    page: String,
    number: usize,
    /// Whether it stands in a block of its own, so that it can be typed as it is.
    is_example: bool,
    words: Vec<String>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository").to_owned()
}

fn pages() -> Vec<PathBuf> {
    let mut pages = Vec::new();
    for page in PAGES.map(|page| root().join(page)) {
        if page.is_dir() {
            let entries = std::fs::read_dir(&page).expect("a folder");
            pages.extend(entries.map(|entry| entry.expect("an entry").path()));
        } else {
            pages.push(page);
        }
    }
    pages.retain(|page| page.extension().is_some_and(|ending| ending == "md"));
    pages.sort();
    pages
}

/// The command lines of a page: lines of its blocks, and what stands in backticks.
fn lines(page: &Path) -> Vec<Line> {
    let text = std::fs::read_to_string(page).expect("a page");
    let name = page.strip_prefix(root()).expect("within").display().to_string();
    // A line that ends in a backslash goes on in the next one, and a span of code may be broken.
    let text = text.replace("\\\n", " ");
    let mut lines = Vec::new();
    let mut in_block = false;
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
            continue;
        }
        let spans: Vec<&str> = if in_block {
            vec![line.trim().trim_start_matches("$ ")]
        } else {
            line.split('`').skip(1).step_by(2).collect()
        };
        for span in spans {
            if span.starts_with(LOGGED) {
                continue;
            }
            let Some(rest) = STARTS.iter().find_map(|start| span.strip_prefix(start)) else {
                continue;
            };
            let rest = rest.split(" #").next().unwrap_or(rest);
            let mut words = words(&format!("fracas {rest}"));
            for word in &mut words {
                if let Some((_, value)) = STANDS_FOR.iter().find(|(name, _)| name == word) {
                    *word = (*value).to_owned();
                }
            }
            lines.push(Line { page: name.clone(), number, is_example: in_block, words });
        }
    }
    lines
}

/// The words of a line as a shell takes them, up to what redirects its output.
pub fn words(line: &str) -> Vec<String> {
    let (mut words, mut quoted, mut begun) = (vec![String::new()], false, false);
    for c in line.trim().chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => begun = true,
            c => {
                if std::mem::take(&mut begun) {
                    words.push(String::new());
                }
                words.last_mut().expect("there is always one").push(c);
            }
        }
    }
    let end = words.iter().position(|word| word == ">").unwrap_or(words.len());
    words.truncate(end);
    words
}

/// Reads a command line, then whatever it names: scenarios with what is set in them, and what is to be explained.
/// How many scenarios that were, or what is wrong.
pub fn read(words: &[String]) -> Result<usize, (ErrorKind, String)> {
    let read = command().try_get_matches_from(words);
    let matches = read.map_err(|error| (error.kind(), error.to_string()))?;
    let (_, matches) = matches.subcommand().expect("one is required");
    let unknown = |why: String| (ErrorKind::InvalidValue, why);
    if let Ok(Some(name)) = matches.try_get_one::<String>("name") {
        topic(name).map_err(|_| unknown(format!("there is nothing called {name}")))?;
    }
    let scenarios: Vec<PathBuf> = ["scenario", "scenarios", "from"]
        .iter()
        .flat_map(|key| given::<PathBuf>(matches, key))
        .flat_map(|path| matching(&path))
        .filter(|path| is_ours(path))
        .collect();
    let overrides = given::<String>(matches, "overrides");
    for scenario in &scenarios {
        let opening = Opening { scenario: scenario.clone(), overrides: overrides.clone() };
        opening.open(1).map_err(|error| unknown(error.to_string()))?;
    }
    Ok(scenarios.len())
}

/// What is given for an argument, if the subcommand has it.
fn given<T: Clone + Send + Sync + 'static>(matches: &ArgMatches, key: &str) -> Vec<T> {
    match matches.try_get_many(key) {
        Ok(Some(values)) => values.cloned().collect(),
        _ => Vec::new(),
    }
}

/// The files of `folder/*.toml`, as a shell finds them; another path as seen from the root.
fn matching(path: &Path) -> Vec<PathBuf> {
    if path.file_name().is_none_or(|name| name != "*.toml") {
        let is_name = path.components().count() == 1 && path.extension().is_none();
        return vec![if is_name { path.to_owned() } else { root().join(path) }];
    }
    let folder = root().join(path.parent().expect("it has a folder"));
    let entries = std::fs::read_dir(&folder).expect("a folder");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "toml"));
    assert!(!files.is_empty(), "{}", path.display());
    files
}

/// Not a file that the reader of the example has.
fn is_ours(path: &Path) -> bool {
    path.is_relative() || path.starts_with(root().join("scenarios")) || path.exists()
}

/// In running text, half a command line is one as well: `fracas load --agents N`, `fracas explore --out`.
fn is_mention(line: &Line, kind: ErrorKind) -> bool {
    let halves = [
        ErrorKind::MissingRequiredArgument,
        ErrorKind::MissingSubcommand,
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
    ];
    let wants_value = line.words.last().is_some_and(|word| word.starts_with("--"));
    let is_half = halves.contains(&kind) || kind == ErrorKind::InvalidValue && wants_value;
    !line.is_example && is_half
}

#[test]
fn every_documented_command_line_is_good_usage() {
    let (mut wrong, mut examples, mut mentions, mut scenarios) = (Vec::new(), 0, 0, 0);
    for line in pages().iter().flat_map(|page| lines(page)) {
        *(if line.is_example { &mut examples } else { &mut mentions }) += 1;
        match read(&line.words) {
            Ok(named) => scenarios += named,
            Err((kind, _)) if is_mention(&line, kind) => {}
            Err((_, why)) => {
                let Line { page, number, words, .. } = &line;
                wrong.push(format!("{page}:{number}: {}\n{why}", words.join(" ")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(examples > 30 && mentions > 60 && scenarios > 40, "{examples} {mentions} {scenarios}");
}

#[test]
fn what_is_gone_is_found() {
    let why = |line: &str| read(&words(line)).unwrap_err().1;
    assert!(why("fracas lod smoke").contains("lod"));
    assert!(why("fracas run smoke --sets a=1").contains("--sets"));
    assert!(why("fracas run smok").contains("smok"));
    assert!(why("fracas run scenarios/safety/gone.toml").contains("gone"));
    assert!(why("fracas run smoke --set cluster.gatways=2").contains("gatways"));
    assert!(why("fracas explain no_duplicates").contains("no_duplicates"));
    assert_eq!(read(&words("fracas run mine.toml")), Ok(0), "it is the reader's");
}
