//! What may be tried. Each row of the table of bad design choices is a try of the scenarios that it names, so
//! that the judge is tested with it whenever the tries are made.

use crate::fixtures::{SMALL, told};
use expect_test::expect;
use scenarios::scenario::ExpectedOutcome;
use std::path::Path;

const PAGE: &str = include_str!("../../../docs/design-choices.md");

/// A bad choice in one scenario.
#[derive(Debug, PartialEq, Eq)]
struct Choice {
    /// `design.key=option`.
    set: String,
    /// The file, from the root.
    scenario: String,
    /// The invariant that notices it.
    invariant: String,
}

/// The rows of the table, one choice per scenario that they name.
fn choices(page: &str) -> Vec<Choice> {
    let rows = page.lines().filter_map(|line| line.strip_prefix("| "));
    let choices = rows.filter_map(|row| match row.split(" | ").collect::<Vec<_>>().as_slice() {
        [number, key, option, caught_by, shown_by, ..] if number.parse::<u32>().is_ok() => {
            let set = format!("design.{}={}", quoted(key)?, quoted(option)?);
            let invariant = quoted(caught_by)?.to_owned();
            let named = shown_by.split("](../").skip(1).filter_map(|rest| rest.split_once(')'));
            let choice = |(scenario, _): (&str, _)| Choice {
                set: set.clone(),
                scenario: scenario.to_owned(),
                invariant: invariant.clone(),
            };
            Some(named.map(choice).collect::<Vec<_>>())
        }
        _ => None,
    });
    choices.flatten().collect()
}

/// The first word in backticks.
fn quoted(cell: &str) -> Option<&str> {
    cell.split('`').nth(1)
}

#[test]
fn a_row_is_a_choice_per_scenario() {
    let page = "\
| # | key | bad option | caught by | shown by |
| --- | --- | --- | --- | --- |
| 1 | `accept` | `early` | `survives`, `others` | [a](../scenarios/a.toml), [b](../scenarios/b.toml) |
| 16 | `jitter` | `off` | `recovers` | no scenario yet |
";
    let choice = |scenario: &str| Choice {
        set: "design.accept=early".to_owned(),
        scenario: scenario.to_owned(),
        invariant: "survives".to_owned(),
    };
    assert_eq!(choices(page), [choice("scenarios/a.toml"), choice("scenarios/b.toml")]);
}

#[test]
fn every_bad_choice_of_the_table_is_a_try_that_predicts_what_catches_it() {
    let all = choices(PAGE);
    assert!(all.len() >= 23, "{all:?}");
    for Choice { set, scenario: path, invariant } in all {
        let text = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(&path);
        let text = std::fs::read_to_string(text).expect("it is in the library");
        let scenario = scenarios::parse(&text, &path, &[]).expect("it is valid");
        let is_it = |one: &&scenarios::scenario::Try| {
            one.set.len() == 1 && one.set[0].to_string() == set && one.seed.is_none()
        };
        let tried = scenario.tries.iter().find(is_it);
        let tried = tried.unwrap_or_else(|| panic!("{set} is no try of {path}"));
        let ExpectedOutcome::Violates(named) = &tried.predicted else {
            panic!("{path} predicts nothing of {set}")
        };
        assert!(named.contains(&invariant), "{path}, {set}: {named:?}, not {invariant}");
    }
}

#[test]
fn a_try_changes_something_and_predicts_something() {
    let tail = r#"
[[try]]
set = ["users.count"]
verdict = "valid"
because = "It is no override."

[[try]]
set = []
verdict = "valid"
because = "It changes nothing."

[[try]]
set = ["users.count=20"]
because = "It predicts nothing."

[[try]]
set = ["users.count=20"]
verdict = "valid"
violates = ["no_gap_in_sequence"]
because = "It predicts too much."

[[try]]
set = ["users.count=20"]
violates = ["no_gaps_in_sequence"]
"#;
    expect![[r#"
        smoke.toml:12:8: try.1.set.1: expected KEY=VALUE, such as "cluster.gateways=2", found "users.count"
          12 | set = ["users.count"]
             |        ^^^^^^^^^^^^^
        smoke.toml:17:7: try.2.set: set at least one key, or a seed
          17 | set = []
             |       ^^
        smoke.toml:21:1: try.3.verdict: predict what comes out: verdict = "valid", or violates
          21 | [[try]]
             | ^^^^^^^
        smoke.toml:28:12: try.4.violates: set either verdict = "valid" or violates, not both
          28 | violates = ["no_gap_in_sequence"]
             |            ^^^^^^^^^^^^^^^^^^^^^^
        smoke.toml:31:1: [[try]] needs "because": text in quotes
          31 | [[try]]
             | ^^^^^^^
        smoke.toml:33:13: try.5.violates.1: expected the name of an invariant, such as "accepted_message_survives", found "no_gaps_in_sequence"; did you mean "no_gap_in_sequence"?
          33 | violates = ["no_gaps_in_sequence"]
             |             ^^^^^^^^^^^^^^^^^^^^^"#]]
    .assert_eq(&told(&format!("{SMALL}{tail}")));
}
