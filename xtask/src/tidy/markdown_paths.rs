//! Every path that a Markdown file names exists.
//!
//! Looks at links and at words in backticks that begin like a path of the repository; code blocks
//! are examples and may name anything.

use super::Finding;
use crate::repository::{Repository, TextFile};
use std::path::Path;

pub fn check(repository: &Repository) -> Vec<Finding> {
    repository
        .files
        .iter()
        .filter(|file| file.has_extension("md"))
        .flat_map(|file| of_file(file, repository))
        .collect()
}

fn of_file(file: &TextFile, repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut in_block = false;
    for (number, line) in file.lines() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
            continue;
        }
        if in_block {
            continue;
        }
        let links = links(line).filter_map(|link| linked(&file.path, link));
        let words = code_words(line).filter_map(|word| rooted(word, repository));
        for path in links.chain(words).filter(|path| !there(path, repository)) {
            let what = format!("there is no {path}");
            let remedy = "name what is there, or leave it out";
            findings.push(Finding::new(&file.path, number, what, remedy));
        }
    }
    findings
}

/// The targets of `[text](target)`.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

/// A link's target as a path from the root; `None` for addresses and anchors.
fn linked(from: &str, target: &str) -> Option<String> {
    let target = target.split(['#', ' ']).next().unwrap_or_default();
    if target.is_empty() || target.contains(':') {
        return None;
    }
    let mut parts: Vec<&str> =
        Path::new(from).parent()?.iter().filter_map(|p| p.to_str()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// What stands between backticks.
fn code_words(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// A word that looks like a path of this repository: it begins with one of its directories.
fn rooted(word: &str, repository: &Repository) -> Option<String> {
    let path = word.split([' ', ':', '#']).next().unwrap_or_default().trim_end_matches('/');
    let (first, rest) = path.split_once('/')?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-{},*".contains(c);
    let is_path = repository.has(first) && !rest.is_empty() && path.chars().all(plain);
    is_path.then(|| path.to_owned())
}

/// Whether a path is there; `a/{b,c}.rs` and `a/*.rs` stand for several.
fn there(path: &str, repository: &Repository) -> bool {
    if let Some((before, rest)) = path.split_once('{')
        && let Some((choices, after)) = rest.split_once('}')
    {
        return choices
            .split(',')
            .all(|c| there(&format!("{before}{}{after}", c.trim()), repository));
    }
    if let Some((before, after)) = path.split_once('*') {
        let fits = |known: &String| known.starts_with(before) && known.ends_with(after);
        return repository.paths.iter().any(fits);
    }
    repository.has(path)
}

#[cfg(test)]
mod tests {
    use super::super::told;
    use super::check;

    #[test]
    fn a_path_that_is_not_there_is_found() {
        let page = "# A\nsee [b](../b/c.rs) and [d](d.md#there), `b/{c,e}.rs`, `b/*.rs`\n\
                    see [gone](gone.md), `b/gone.rs`, `b/*.py`\n\
                    not: [w](https://example.org/x), `a/b` of others, `x = y/z`, [h](#here)\n\
                    ```\n`b/gone.rs`\n```\n";
        let files =
            [("docs/a.md", page), ("docs/d.md", ""), ("b/c.rs", "//! x\n"), ("b/e.rs", "//! x\n")];
        assert_eq!(told(check, &files), ["docs/a.md:3"; 3]);
    }
}
