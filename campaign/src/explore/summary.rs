//! What many runs say together: verdicts, episodes by kind and role, reasons by frequency.

use super::Case;
use super::finished::{Finished, Outcome};
use comfy_table::{CellAlignment, Table};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Roles, in the order in which episodes are counted.
const ROLES: [&str; 6] = ["gateway", "broker", "store", "notifier", "auth", "clients"];

/// All tables, those without a row left out.
pub(super) fn tables(cases: &[Case], keys: &[String], finished: &[Finished], width: u16) -> String {
    let mut parts = vec![report::fitted(&verdicts(cases, keys, finished), width)];
    parts.extend(episodes(finished).map(|table| report::fitted(&table, width)));
    let violated = finished.iter().flat_map(|one| {
        one.violated.iter().cloned().chain(one.died.as_deref().map(without_numbers))
    });
    parts.extend(counted("violated", violated, finished.len()));
    let missed = finished.iter().flat_map(|one| &one.missed).map(|bound| bound_of(bound));
    parts.extend(counted("bounds missed", missed, finished.len()));
    let unknown = finished.iter().filter(|one| one.outcome == Outcome::Unknown);
    let doubts = unknown.flat_map(|one| {
        let mut doubts: Vec<String> =
            one.doubts.iter().map(|doubt| without_numbers(doubt)).collect();
        doubts.sort();
        doubts.dedup();
        doubts
    });
    parts.extend(counted("unknown because", doubts, finished.len()));
    parts.join("\n\n")
}

fn plain<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_preset(comfy_table::presets::NOTHING);
    table.set_header(header);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn verdicts(cases: &[Case], keys: &[String], finished: &[Finished]) -> Table {
    let mut table = plain(["scenario", "runs", "valid", "bound missed", "violated", "unknown"]);
    for (index, case) in cases.iter().enumerate() {
        let of = || finished.iter().filter(move |one| one.case == index);
        let runs = of().count();
        let share = |outcome| {
            let count = of().filter(|one| one.outcome == outcome).count();
            format!("{count} ({})", percent(count, runs))
        };
        table.add_row([
            case.name(keys),
            runs.to_string(),
            share(Outcome::Valid),
            share(Outcome::Missed),
            share(Outcome::Violated),
            share(Outcome::Unknown),
        ]);
    }
    table
}

impl Case {
    /// The scenario's name with the values that tell it from the other cases.
    pub(super) fn name(&self, keys: &[String]) -> String {
        let mut name = self.scenario.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        for (key, value) in keys.iter().zip(&self.values).filter(|(key, _)| *key != "scenario") {
            let _ = write!(name, " {key}={value}");
        }
        name
    }
}

/// Episodes by kind: how many, how many of them without effect, and how many befell each role.
fn episodes(finished: &[Finished]) -> Option<Table> {
    #[derive(Default)]
    struct Row {
        all: usize,
        without_effect: usize,
        by_role: [usize; ROLES.len()],
    }
    let mut rows: BTreeMap<&str, Row> = BTreeMap::new();
    for episode in finished.iter().flat_map(|one| &one.episodes) {
        let row = rows.entry(&episode.kind).or_default();
        row.all += 1;
        row.without_effect += usize::from(!episode.had_effect);
        for (count, role) in row.by_role.iter_mut().zip(ROLES) {
            *count += usize::from(befalls(&episode.target, role));
        }
    }
    if rows.is_empty() {
        return None;
    }
    let [gateway, broker, store, notifier, auth, clients] = ROLES;
    let header = ["episodes", "all", "no effect", gateway, broker, store, notifier, auth, clients];
    let mut table = plain(header);
    for (kind, row) in rows {
        let counts = [row.all, row.without_effect].into_iter().chain(row.by_role);
        let counts = counts.map(|count| count.to_string());
        table.add_row(std::iter::once(kind.to_owned()).chain(counts));
    }
    Some(table)
}

/// Whether one of the nodes of a target is of a role.
fn befalls(target: &str, role: &str) -> bool {
    let names = target.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    names.filter_map(|name| name.rsplit_once('-')).any(|(word, _)| word == role)
}

/// How often each reason was given, the most frequent first.
fn counted(title: &str, reasons: impl Iterator<Item = String>, runs: usize) -> Option<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for reason in reasons {
        *counts.entry(reason).or_default() += 1;
    }
    let mut counts: Vec<(String, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let lines = counts
        .iter()
        .map(|(reason, count)| format!("  {count} ({}) {reason}", percent(*count, runs)));
    let lines: Vec<String> = std::iter::once(format!(" {title}")).chain(lines).collect();
    (lines.len() > 1).then(|| lines.join("\n"))
}

/// A bound that was missed, without what it was and what came out.
fn bound_of(missed: &str) -> String {
    missed.split(' ').next().unwrap_or_default().to_owned()
}

/// A reason with its numbers left out, so that the same reason is counted as the same.
fn without_numbers(reason: &str) -> String {
    let mut out = String::new();
    for c in reason.replace(", once:", ", 1 times:").chars() {
        match c {
            '0'..='9' if out.ends_with('#') => {}
            '0'..='9' => out.push('#'),
            _ => out.push(c),
        }
    }
    out
}

fn percent(part: usize, of: usize) -> String {
    format!("{:.1} %", 100.0 * part as f64 / of.max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::super::finished::Episode;
    use super::*;

    fn finished(seed: u64, outcome: Outcome, violated: &[&str], doubts: &[&str]) -> Finished {
        let owned = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
        Finished {
            case: 0,
            seed,
            outcome,
            violated: owned(violated),
            missed: Vec::new(),
            first: None,
            doubts: owned(doubts),
            died: None,
            took: None,
            summary: None,
            episodes: vec![
                Episode {
                    kind: "cut".to_owned(),
                    target: "gateway-1, gateway-2 -> store-3".to_owned(),
                    had_effect: true,
                },
                Episode {
                    kind: "skew".to_owned(),
                    target: "broker-1".to_owned(),
                    had_effect: seed == 1,
                },
            ],
        }
    }

    #[test]
    fn runs_are_counted_with_their_shares_kinds_and_reasons() {
        let runs = [
            finished(1, Outcome::Valid, &[], &["not told: the run is valid"]),
            finished(
                2,
                Outcome::Unknown,
                &[],
                &["fault 3 had no effect", "fault 14 had no effect", "met a limit, 3 times: so"],
            ),
            finished(
                3,
                Outcome::Unknown,
                &[],
                &["fault 27 had no effect", "met a limit, once: so"],
            ),
            finished(4, Outcome::Violated, &["no_gap_in_sequence"], &[]),
            Finished {
                missed: vec!["accept_p99 missed: wanted at most 100 ms; got 198 ms".to_owned()],
                ..finished(5, Outcome::Missed, &[], &[])
            },
        ];
        let cases = vec![Case {
            scenario: "a/swarm.toml".into(),
            overrides: Vec::new(),
            values: vec!["4".to_owned()],
            folder: "".into(),
        }];
        let told = tables(&cases, &["cluster.stores".to_owned()], &runs, u16::MAX);
        let tidy: Vec<String> = told
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .filter(|line| !line.is_empty())
            .collect();
        assert_eq!(
            tidy,
            [
                "scenario runs valid bound missed violated unknown",
                "swarm cluster.stores=4 5 1 (20.0 %) 1 (20.0 %) 1 (20.0 %) 2 (40.0 %)",
                "episodes all no effect gateway broker store notifier auth clients",
                "cut 5 0 5 0 5 0 0 0",
                "skew 5 4 0 5 0 0 0 0",
                "violated",
                "1 (20.0 %) no_gap_in_sequence",
                "bounds missed",
                "1 (20.0 %) accept_p99",
                "unknown because",
                "2 (40.0 %) fault # had no effect",
                "2 (40.0 %) met a limit, # times: so",
            ]
        );
    }
}
