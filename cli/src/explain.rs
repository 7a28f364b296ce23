//! What the documentation says of one invariant, one kind of fault, or one design choice. The pages of
//! `docs` are built in, so that there is one text.

use scenarios::{built_in, design_choices, design_options, nearest};
use verify::CATALOGUE;

const INVARIANTS: &str = include_str!("../../docs/invariants.md");
const SCENARIOS: &str = include_str!("../../docs/scenarios.md");
const CHOICES: &str = include_str!("../../docs/design-choices.md");

/// What is explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Invariant,
    Fault,
    Choice,
}

/// One of them.
#[derive(Debug)]
pub struct Topic {
    pub kind: Kind,
    pub name: &'static str,
    /// In a few words, as Markdown.
    pub summary: String,
    /// The whole of it, as Markdown.
    pub page: String,
}

/// All of them, by kind and in the order of their pages.
pub fn topics() -> Vec<Topic> {
    invariants().into_iter().chain(faults()).chain(choices()).collect()
}

/// The one that is meant: `accept`, `design.accept` and `accept=before_persist` are the same.
///
/// # Errors
/// There is none; with the nearest name.
pub fn topic(given: &str) -> Result<Topic, Option<&'static str>> {
    let word = given.strip_prefix("design.").unwrap_or(given);
    let word = word.split('=').next().unwrap_or(word).replace('-', "_");
    let mut topics = topics();
    match topics.iter().position(|topic| topic.name == word) {
        Some(index) => Ok(topics.swap_remove(index)),
        None => Err(near(&word, &topics)),
    }
}

/// What may be meant: by its option, by a part of its name, or misspelt.
fn near(word: &str, topics: &[Topic]) -> Option<&'static str> {
    let has_option = |name: &&&str| design_options(name).contains(&word);
    let by_option = || design_choices().iter().find(has_option).copied();
    let names = || topics.iter().map(|topic| topic.name);
    let by_part = || names().find(|name| word.len() > 2 && name.contains(word));
    by_option().or_else(by_part).or_else(|| nearest(word, names()))
}

fn invariants() -> Vec<Topic> {
    let claims = CATALOGUE.iter().map(|claim| {
        let body = section(INVARIANTS, claim.name);
        let summary = body.split("**").nth(1).unwrap_or_default().to_owned();
        let page = format!("{}\n\n{}", body.trim(), notation(body));
        Topic { kind: Kind::Invariant, name: claim.name, summary, page }
    });
    claims.collect()
}

/// The words of the notation that a definition uses.
fn notation(body: &str) -> String {
    let is_used = |word: &str| match word.split_once('(') {
        // `A` alone would be an article.
        Some((function, _)) => body.contains(&format!("{function}(")),
        None if word.contains(' ') => body.contains(word),
        None => body.split(|c: char| !c.is_alphanumeric()).any(|one| one == word),
    };
    let words = rows(section(INVARIANTS, "Notation")).into_iter().filter_map(|row| {
        let [word, meaning] = row.as_slice() else { return None };
        is_used(word).then(|| format!("- **{word}**: {meaning}"))
    });
    let words: Vec<String> = words.collect();
    if words.is_empty() { String::new() } else { format!("Notation:\n\n{}\n", words.join("\n")) }
}

fn faults() -> Vec<Topic> {
    let body = section(SCENARIOS, "Kinds of faults");
    let of_all = body.lines().filter(|line| !line.starts_with('|')).collect::<Vec<_>>().join("\n");
    let rows = rows(body).into_iter().filter_map(|row| {
        let [kind, what, takes] = row.as_slice() else { return None };
        let name = code(kind)?;
        let (what, more) = with_its_section(what);
        let shown = built_in(&name.replace('_', "-")).map(example).unwrap_or_default();
        let sentence = capital(what);
        let page = format!(
            "**{sentence}**. Takes {takes}.\n\n{shown}{more}Of all faults:\n\n{}\n",
            of_all.trim()
        );
        Some(Topic { kind: Kind::Fault, name, summary: what.to_owned(), page })
    });
    rows.collect()
}

/// What a cell says, without its link to a section of the same page, and that section.
fn with_its_section(cell: &'static str) -> (&'static str, String) {
    let Some((what, link)) = cell.split_once(" ([how](#") else { return (cell, String::new()) };
    let title = capital(&link.trim_end_matches(')').replace('-', " "));
    (what, format!("{}\n\n", section(SCENARIOS, &title).trim()))
}

fn capital(words: &str) -> String {
    let mut rest = words.chars();
    rest.next().map_or_else(String::new, |first| first.to_uppercase().chain(rest).collect())
}

/// A fault as the scenario that shows it has it.
fn example(shown_by: &scenarios::BuiltIn) -> String {
    let fault = shown_by.text.split("\n[[fault]]\n").nth(1).unwrap_or_default();
    let fault = fault.split("\n\n").next().unwrap_or_default().trim_end();
    format!("```\n[[fault]]\n{fault}\n```\n\n`fracas run {}` shows it.\n\n", shown_by.name)
}

fn choices() -> Vec<Topic> {
    design_choices().iter().map(|&name| choice(name)).collect()
}

fn choice(name: &'static str) -> Topic {
    let options = design_options(name);
    let others: Vec<String> = options[1..].iter().map(|option| format!(", `{option}`")).collect();
    let mut parts = vec![format!("`{}` (the default){}", options[0], others.concat())];
    for row in rows(CHOICES) {
        let [_, key, option, caught_by, shown_by] = row.as_slice() else { continue };
        if let Some(option) = code(option).filter(|_| code(key) == Some(name)) {
            let shown = if shown_by.contains('[') { "shown by " } else { "" };
            parts.push(format!("- `{option}` is caught by {caught_by}; {shown}{shown_by}"));
            parts.extend(to_try(shown_by, name, option));
        }
    }
    let why = CHOICES.split("\n\n").filter(|paragraph| is_about(paragraph, name));
    parts.extend(why.map(|paragraph| paragraph.trim().to_owned()));
    let summary = format!("`{}`", options.join("` or `"));
    Topic { kind: Kind::Choice, name, summary, page: parts.join("\n\n") }
}

/// What shows it at the command line.
fn to_try(shown_by: &str, key: &str, option: &str) -> Option<String> {
    let scenario = shown_by.split(['[', ']']).nth(1).and_then(built_in)?.name;
    Some(format!(
        "```\nfracas explore {scenario} --seeds 20 --until-caught --set design.{key}={option}\n```"
    ))
}

/// Whether a paragraph begins with a heading in bold that names the key: "**1, `accept`: before the entry is
/// durable.**"
fn is_about(paragraph: &str, key: &str) -> bool {
    let heading =
        paragraph.trim_start().strip_prefix("**").and_then(|rest| rest.split("**").next());
    let named = heading.and_then(|heading| heading.split('`').nth(1));
    named == Some(key)
}

/// What stands below a heading of the second level, up to the next one.
fn section(page: &'static str, title: &str) -> &'static str {
    let mut parts = page.split("\n## ");
    let body = parts.find_map(|part| part.strip_prefix(title)?.strip_prefix('\n'));
    body.unwrap_or_else(|| panic!("the documentation has a section {title}"))
}

/// The cells of every table, without its header.
fn rows(page: &'static str) -> Vec<Vec<&'static str>> {
    let lines = page.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let cells = lines.map(|line| line.split(" | ").collect::<Vec<_>>());
    // A header stands above dashes.
    let mut rows: Vec<Vec<&str>> = Vec::new();
    for row in cells {
        if row.iter().all(|cell| *cell == "---") {
            rows.pop();
        } else {
            rows.push(row);
        }
    }
    rows
}

/// The first word between backticks.
fn code(cell: &'static str) -> Option<&'static str> {
    cell.split('`').nth(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_invariant_fault_and_choice_has_one_page_with_all_of_it() {
        let topics = topics();
        let names: BTreeSet<&str> = topics.iter().map(|topic| topic.name).collect();
        assert_eq!(names.len(), topics.len(), "a name stands for one thing");
        let count = |kind| topics.iter().filter(|topic| topic.kind == kind).count();
        let schema = scenarios::schema();
        let fault = &schema["properties"]["fault"]["anyOf"][0]["items"]["properties"];
        let kinds = fault["kind"]["anyOf"][0]["enum"].as_array().expect("kinds are words").len();
        assert_eq!(
            (count(Kind::Invariant), count(Kind::Fault), count(Kind::Choice)),
            (CATALOGUE.len(), kinds, design_choices().len())
        );
        for Topic { kind, name, summary, page } in &topics {
            assert!(summary.len() > 5, "{name}: {summary}");
            let parts: &[&str] = match kind {
                Kind::Invariant => &["- Judged", "- Excused: ", "- Scope: "],
                Kind::Fault => {
                    &["Takes ", "```\n[[fault]]\nat = ", "` shows it.", "Faults may overlap"]
                }
                Kind::Choice => &["(the default)", ".**"],
            };
            for part in parts.iter().filter(|part| !page.contains(*part)) {
                // Both options of a choice between sound ones are good.
                assert!(scenarios::is_sound_design(name), "{name} lacks {part}:\n{page}");
            }
        }
    }

    #[test]
    fn a_fault_that_has_a_section_comes_with_it_instead_of_a_link() {
        let hostile = topic("hostile").expect("it is one");
        assert!(hostile.page.contains("| `no_hello` | a frame before `hello` | close 4402 |"));
        assert!(topics().iter().all(|topic| !topic.summary.contains("](")));
    }

    #[test]
    fn a_choice_is_told_with_what_catches_it_and_with_its_own_reason() {
        let page = topic("design.epochs=clock").expect("it is one").page;
        for part in [
            "- `clock` is caught by `one_owner_per_partition`; shown by ",
            "\nfracas explore clock-set-back --seeds 20 --until-caught --set design.epochs=clock\n",
            "**8, `epochs`: from a clock.**",
        ] {
            assert!(page.contains(part), "{page}");
        }
        assert!(!page.contains("`fencing`"), "another choice of the same number:\n{page}");
        let page = topic("slow_session").expect("it is one").page;
        assert!(page.contains("an unbounded queue"), "{page}");
        assert!(page.contains("silently drop the oldest"), "{page}");
    }

    #[test]
    fn a_definition_comes_with_the_words_that_it_uses() {
        let page = topic("no-duplicate-delivery").expect("it is one").page;
        assert!(page.contains("- **seen**: "), "{page}");
        let page = topic("accepted_message_survives").expect("it is one").page;
        assert!(page.contains("- **A(m, q)**: the first answer") && page.contains("- **K(q)**: "));
        assert!(!page.contains("- **calm**"), "{page}");
    }

    #[test]
    fn what_is_unknown_has_a_nearest_name_or_none() {
        assert_eq!(topic("kil").unwrap_err(), Some("kill"));
        assert_eq!(topic("before_persist").unwrap_err(), Some("accept"));
        assert_eq!(topic("no_duplicate").unwrap_err(), Some("no_duplicate_delivery"));
        assert_eq!(
            topic("accept-message-survives").unwrap_err(),
            Some("accepted_message_survives")
        );
        assert_eq!(topic("something quite different").unwrap_err(), None);
    }
}
