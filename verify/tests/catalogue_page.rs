//! `docs/invariants.md` against the heads of `verify/src/invariants`: below its introduction the page is
//! what they say, without what they say about the implementation.
//!
//! `UPDATE_EXPECT=1 cargo test -p verify` writes it.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use verify::{CATALOGUE, Claim, Scope};

const PAGE: &str = "docs/invariants.md";
/// What stands above is written by hand.
const MARK: &str = "<!-- From here on `UPDATE_EXPECT=1 cargo test -p verify` writes this page, from the \
                    heads of verify/src/invariants. -->\n";

fn path(of: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(of)
}

fn read(of: &str) -> String {
    std::fs::read_to_string(path(of)).unwrap_or_else(|error| panic!("{of}: {error}"))
}

/// The head of a claim's file, without the marks of the comment and without the paragraph about the
/// implementation.
fn head(claim: &Claim) -> String {
    let text = read(claim.source);
    let lines = text.lines().map_while(|line| line.strip_prefix("//!"));
    let lines: Vec<&str> = lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
    let head = lines.join("\n");
    let paragraphs = head.split("\n\n").filter(|paragraph| !paragraph.starts_with("Streaming:"));
    paragraphs.collect::<Vec<_>>().join("\n\n")
}

fn section(claim: &Claim) -> String {
    let mut section = format!("## {}\n\n{}\n", claim.name, head(claim));
    let scope = match claim.scope {
        Scope::Conversation => "one conversation".to_owned(),
        Scope::User(why) => format!("all conversations of a user: {why}"),
        Scope::Run => "the nodes of the run".to_owned(),
    };
    writeln!(section, "- Scope: {scope}.").expect("a string takes everything");
    if !claim.catches.is_empty() {
        let choices: Vec<String> = claim.catches.iter().map(|c| format!("`{c}`")).collect();
        let choices = choices.join(", ");
        writeln!(section, "- Bad [design choices](design-choices.md) that it catches: {choices}.")
            .expect("a string takes everything");
    }
    section
}

#[test]
fn the_page_says_what_the_heads_say() {
    let page = read(PAGE);
    let (introduction, _) = page.split_once(MARK).expect("the page has its mark");
    let sections: Vec<String> = CATALOGUE.iter().map(section).collect();
    let expected = format!("{introduction}{MARK}\n{}", sections.join("\n"));
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(path(PAGE), expected).expect("the page can be written");
        return;
    }
    assert!(page == expected, "{PAGE} is out of step: run UPDATE_EXPECT=1 cargo test -p verify");
}

#[test]
fn every_head_says_what_is_judged_and_excused_and_what_breaks_it() {
    for claim in CATALOGUE {
        let head = head(claim).split_whitespace().collect::<Vec<_>>().join(" ");
        for needed in ["**", "- Judged", "- Excused: ", "- Broken by: ", " Not by: "] {
            assert!(head.contains(needed), "the head of {} has no {needed:?}", claim.name);
        }
        let choices = (claim.catches.is_empty(), head.contains("- No bad choice: "));
        assert!(choices.0 == choices.1, "{}: a bad choice, or the reason why not", claim.name);
    }
}
