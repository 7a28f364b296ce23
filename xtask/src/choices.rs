//! Tests the judge: every bad design choice must be caught, by the invariant that the documentation
//! names. The table of `docs/design-choices.md` is what is run, so it cannot say more than is true.

use crate::repository::root;
use crate::{asserting, say};
use anyhow::Context;

/// The table.
const TABLE: &str = "docs/design-choices.md";
/// Seeds after which a choice counts as not caught.
const SEEDS: u32 = 50;
/// The exit status of a run that violates an invariant.
const VIOLATED: i32 = 1;

/// A bad choice in one scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Choice {
    /// `key=option`.
    set: String,
    /// The file, from the root.
    scenario: String,
    /// The invariant that notices it.
    invariant: String,
}

/// Runs every choice; true if every one is caught as the table says.
pub fn run() -> anyhow::Result<bool> {
    let text = std::fs::read_to_string(root().join(TABLE)).context(TABLE)?;
    let choices = choices(&text);
    anyhow::ensure!(!choices.is_empty(), "{TABLE} has no choice with a scenario");
    let mut missed = 0;
    for choice in &choices {
        let caught = is_caught(choice)?;
        missed += u32::from(!caught);
        let Choice { set, scenario, invariant } = choice;
        let outcome = if caught { "caught by" } else { "NOT caught by" };
        say(&format!("{scenario} --set design.{set}: {outcome} {invariant}"));
    }
    Ok(missed == 0)
}

/// Whether a run violates the named invariant: of those that violate any, the first may violate others.
fn is_caught(choice: &Choice) -> anyhow::Result<bool> {
    let mut from = 1;
    while from <= SEEDS {
        let (first, left) = (from.to_string(), (SEEDS - from + 1).to_string());
        let set = format!("design.{}", choice.set);
        let explore = ["explore", "--quiet", "--until-caught", "--from", &first, "--seeds", &left];
        let mut command = asserting::fracas()?;
        command.args(explore).args(["--set", &set, &choice.scenario]);
        let output = command.output().context("running fracas")?;
        let told = String::from_utf8_lossy(&output.stdout);
        if output.status.code() != Some(VIOLATED) {
            return Ok(false);
        }
        if told.contains(&choice.invariant) {
            return Ok(true);
        }
        let Some(caught) = seed_of(&told) else { return Ok(false) };
        from = caught + 1;
    }
    Ok(false)
}

/// The seed of the run that was caught.
fn seed_of(told: &str) -> Option<u32> {
    let (_, behind) = told.rsplit_once("--seed ")?;
    behind.split_whitespace().next()?.parse().ok()
}

/// The rows of the table, one choice per scenario that they name.
fn choices(text: &str) -> Vec<Choice> {
    let rows = text.lines().filter_map(|line| line.strip_prefix("| "));
    rows.filter_map(|row| match row.split(" | ").collect::<Vec<_>>().as_slice() {
        [number, key, option, caught_by, shown_by, ..] if number.parse::<u32>().is_ok() => {
            let set = format!("{}={}", quoted(key)?, quoted(option)?);
            let invariant = quoted(caught_by)?.to_owned();
            let scenarios = shown_by.split("](../").skip(1).filter_map(|rest| {
                let scenario = rest.split_once(')')?.0.to_owned();
                Some(Choice { set: set.clone(), scenario, invariant: invariant.clone() })
            });
            Some(scenarios.collect::<Vec<_>>())
        }
        _ => None,
    })
    .flatten()
    .collect()
}

/// The first word in backticks.
fn quoted(cell: &str) -> Option<&str> {
    cell.split('`').nth(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_stands_in_the_line_that_reproduces_the_run() {
        let told =
            "a; b: fracas run scenarios/safety/smoke.toml --seed 20 --set 'design.push=at_once'\n";
        assert_eq!((seed_of(told), seed_of("nothing")), (Some(20), None));
    }

    #[test]
    fn a_row_is_a_choice_per_scenario() {
        let text = "\
| # | key | bad option | caught by | shown by |
| --- | --- | --- | --- | --- |
| 1 | `accept` | `early` | `survives`, `others` | [a](../scenarios/a.toml), [b](../scenarios/b.toml) |
| 16 | `jitter` | `off` | `recovers` | no scenario yet |
";
        let choice = |scenario: &str| Choice {
            set: "accept=early".to_owned(),
            scenario: scenario.to_owned(),
            invariant: "survives".to_owned(),
        };
        assert_eq!(choices(text), [choice("scenarios/a.toml"), choice("scenarios/b.toml")]);
    }

    #[test]
    fn the_documentation_names_many() {
        let text = std::fs::read_to_string(root().join(TABLE)).expect("it is there");
        assert!(choices(&text).len() >= 12, "{:?}", choices(&text));
    }
}
