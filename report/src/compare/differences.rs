//! What differs between two sides, or within one, beside what was measured.

use crate::gather::options;
use crate::past_run::PastRun;
use std::collections::{BTreeMap, BTreeSet};

/// Values of a side that are listed.
const LISTED_MAX: usize = 6;
/// Words about a scenario, which change nothing in a run.
const WORDS: [&str; 3] = ["question", "lesson", "try"];

/// What is the same of two runs, or not.
type Fact = fn(&PastRun) -> String;

/// One sentence each: what a reader must know before blaming the design.
pub(crate) fn differences(a: &[PastRun], b: &[PastRun]) -> Vec<String> {
    let mut told = Vec::new();
    let facts: [(&str, Fact); 5] = [
        ("options", |run| options(&run.file)),
        ("scenarios", |run| run.file.scenario.clone()),
        ("engines", |run| format!("{:?}", run.file.engine).to_lowercase()),
        ("machines", |run| {
            run.file.machine.as_ref().map_or_else(|| "unknown".to_owned(), |one| one.words(','))
        }),
        ("versions", |run| run.file.version.clone()),
    ];
    for (what, of) in facts {
        told.extend(different(what, &values(a, of), &values(b, of)));
    }
    let (seeds_a, seeds_b) = (seeds(a), seeds(b));
    if seeds_a != seeds_b {
        told.push(format!(
            "the seeds differ: A has {}, B has {}",
            ranges(&seeds_a),
            ranges(&seeds_b)
        ));
    }
    for (side, runs) in [("A", a), ("B", b)] {
        if seeds(runs).len() < runs.len() && runs.iter().all(is_simulated) {
            told.push(format!(
                "{side} has a seed twice: simulated runs of one seed are one run, and say nothing of \
                 how much runs differ"
            ));
        }
    }
    told.extend(keys(a, b));
    told
}

fn is_simulated(run: &PastRun) -> bool {
    run.file.engine == verify::history::event::Engine::Simulated
}

fn values(runs: &[PastRun], of: Fact) -> BTreeSet<String> {
    runs.iter().map(of).collect()
}

fn different(what: &str, a: &BTreeSet<String>, b: &BTreeSet<String>) -> Option<String> {
    if a == b && a.len() == 1 {
        return None;
    }
    if a == b {
        return Some(format!("the {what} differ within both sides: {}", listed(a)));
    }
    Some(format!("the {what} differ: A has {}, B has {}", listed(a), listed(b)))
}

fn listed(values: &BTreeSet<String>) -> String {
    let more = values.len().saturating_sub(LISTED_MAX);
    let all: Vec<&str> = values.iter().take(LISTED_MAX).map(String::as_str).collect();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    all.join(" and ") + &more
}

pub(crate) fn seeds(runs: &[PastRun]) -> BTreeSet<u64> {
    runs.iter().map(|run| run.file.seed).collect()
}

/// 1, 2, 3, 7 as "1 to 3, 7".
pub(crate) fn ranges(seeds: &BTreeSet<u64>) -> String {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for seed in seeds {
        match ranges.last_mut() {
            Some((_, to)) if *to + 1 == *seed => *to = *seed,
            _ => ranges.push((*seed, *seed)),
        }
    }
    let words = ranges.iter().map(|(from, to)| match to - from {
        0 => from.to_string(),
        1 => format!("{from}, {to}"),
        _ => format!("{from} to {to}"),
    });
    words.collect::<Vec<_>>().join(", ")
}

/// The keys of the scenarios in which the sides differ.
fn keys(a: &[PastRun], b: &[PastRun]) -> Vec<String> {
    let all = |runs: &[PastRun]| {
        let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for run in runs {
            let table: toml::Table = run.scenario_toml.parse().unwrap_or_default();
            let mut flat = Vec::new();
            flatten("", &toml::Value::Table(table), &mut flat);
            for (key, value) in flat {
                all.entry(key).or_default().insert(value);
            }
        }
        all
    };
    let (a, b) = (all(a), all(b));
    let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let none = BTreeSet::from(["none".to_owned()]);
    names
        .into_iter()
        .filter(|key| !WORDS.contains(&key.split('.').next().unwrap_or_default()))
        .filter_map(|key| {
            let (of_a, of_b) = (a.get(key).unwrap_or(&none), b.get(key).unwrap_or(&none));
            if of_a != of_b {
                return Some(format!(
                    "{key} differs: A has {}, B has {}",
                    listed(of_a),
                    listed(of_b)
                ));
            }
            let within = of_a.len() > 1;
            within.then(|| format!("{key} differs within both sides: {}", listed(of_a)))
        })
        .collect()
}

/// Every value with its key from the top; elements of lists are numbered from 1, as for `--set`.
pub(crate) fn flatten(key: &str, value: &toml::Value, out: &mut Vec<(String, String)>) {
    let inside =
        |name: &str| if key.is_empty() { name.to_owned() } else { format!("{key}.{name}") };
    match value {
        toml::Value::Table(table) => {
            table.iter().for_each(|(name, value)| flatten(&inside(name), value, out));
        }
        toml::Value::Array(list) if list.iter().any(toml::Value::is_table) => {
            for (number, value) in (1..).zip(list) {
                flatten(&inside(&format!("{number}")), value, out);
            }
        }
        other => out.push((key.to_owned(), other.to_string())),
    }
}
