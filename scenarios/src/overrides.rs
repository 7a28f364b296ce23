//! `--set KEY=VALUE`: a key of the scenario file with another value, or several for a sweep.
//!
//! Whether the key exists and takes the value is checked with the file, by `parse`.

use settings::tree::{self, Node};
use settings::value::TextForm;
use settings::{Mistakes, Origin, Problem};
use std::fmt;

/// A key with the values to set it to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    key: String,
    values: Vec<String>,
}

impl Override {
    /// Reads `cluster.gateways=2`, or `cluster.gateways=2,4,8` for a sweep. Commas within quotes,
    /// brackets, braces and parentheses belong to the value. An element of a list is named by its
    /// number, from 1: `fault.1.for=3s`.
    pub fn parse(given: &str) -> Result<Self, BadOverride> {
        let bad = |what: &str| BadOverride { given: given.to_owned(), what: what.to_owned() };
        let (key, values) = given.split_once('=').ok_or_else(|| bad("there is no \"=\""))?;
        let key = key.trim();
        if key.is_empty() || key.split('.').any(str::is_empty) {
            return Err(bad(&format!("a part of the key {key:?} is empty")));
        }
        let values = split_values(values);
        if let Some(index) = values.iter().position(String::is_empty) {
            return Err(match values.len() {
                1 => bad("the value is empty"),
                all => bad(&format!("value {} of {all} is empty", index + 1)),
            });
        }
        Ok(Self { key: key.to_owned(), values })
    }

    /// The key from the top: `cluster.gateways`.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The values, as they were given; at least one.
    pub fn values(&self) -> &[String] {
        &self.values
    }

    /// Where its value was written.
    pub(crate) fn origin(&self) -> Origin {
        Origin::Set(self.to_string().into())
    }

    /// Lays it over a scenario.
    pub(crate) fn lay_over(&self, root: &mut Node, mistakes: &mut Mistakes) {
        let origin = self.origin();
        if let [word] = self.values.as_slice() {
            tree::lay_over(root, &self.key, word, &origin, mistakes);
        } else {
            let what = "several values make a sweep; one run takes one of them".into();
            mistakes.note(&origin, Problem::Conflict { key: self.key.clone(), what });
        }
    }
}

/// An argument of `--set` that cannot be understood even without a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("--set {given}: {what}; write --set KEY=VALUE, for example --set cluster.gateways=2")]
pub struct BadOverride {
    /// What was given.
    pub given: String,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Override {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.key, self.values.join(","))
    }
}

impl TextForm for Override {
    fn expected() -> String {
        "KEY=VALUE, such as \"cluster.gateways=2\"".into()
    }

    fn from_text(text: &str) -> Option<Self> {
        Self::parse(text).ok()
    }

    fn text(&self) -> String {
        self.to_string()
    }
}

/// Every combination of the values: one list of single-valued overrides per run, the last key
/// changing fastest. One run, without overrides, if there are none.
pub fn sweep(overrides: &[Override]) -> Vec<Vec<Override>> {
    overrides.iter().fold(vec![Vec::new()], |runs, given| {
        runs.iter()
            .flat_map(|run| {
                given.values.iter().map(move |value| {
                    let one = Override { key: given.key.clone(), values: vec![value.clone()] };
                    run.iter().cloned().chain([one]).collect()
                })
            })
            .collect()
    })
}

fn split_values(text: &str) -> Vec<String> {
    let mut values = vec![String::new()];
    let (mut depth, mut quote) = (0_u32, None);
    for c in text.chars() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') => depth = depth.saturating_sub(1),
            (None, ',') if depth == 0 => {
                values.push(String::new());
                continue;
            }
            _ => {}
        }
        values.last_mut().expect("there is always a last value").push(c);
    }
    values.into_iter().map(|value| value.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(given: &str) -> Override {
        Override::parse(given).expect("a good override")
    }

    #[test]
    fn commas_part_values_but_not_within_brackets() {
        assert_eq!(parsed("cluster.gateways=2,4, 8").values(), ["2", "4", "8"]);
        assert_eq!(parsed("users.conversations.group_size=uniform(5..20)").values().len(), 1);
        let zipf = parsed("a=zipf(5..200, 1.1),\"x,y\",[1, 2],{ a = 1, b = 2 }");
        assert_eq!(zipf.values(), ["zipf(5..200, 1.1)", "\"x,y\"", "[1, 2]", "{ a = 1, b = 2 }"]);
    }

    #[test]
    fn a_value_may_hold_an_equals_sign() {
        let fault = parsed("fault.1.target=owner(conversation=3)");
        assert_eq!(
            (fault.key(), fault.values()),
            ("fault.1.target", &["owner(conversation=3)".into()][..])
        );
    }

    #[test]
    fn what_is_no_override_is_refused() {
        for given in ["cluster.gateways", "=3", "a..b=1", "a=", "a=1,,2"] {
            assert!(Override::parse(given).is_err(), "{given}");
        }
    }

    #[test]
    fn a_sweep_runs_every_combination() {
        let runs = sweep(&[parsed("a=1,2"), parsed("b=x"), parsed("c=3,4")]);
        let told: Vec<String> = runs
            .iter()
            .map(|run| run.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(told, ["a=1 b=x c=3", "a=1 b=x c=4", "a=2 b=x c=3", "a=2 b=x c=4"]);
        assert_eq!(sweep(&[]), [Vec::new()]);
    }
}
