//! `index.html`: the runs of a sweep in one table, each with a link to its report.

use super::shell;
use crate::sweep::{COLUMNS, Row, Sweep, SweepRun};
use maud::{Markup, html};

/// Sentences that are shown; of very many runs nobody reads more.
const SENTENCES_MAX: usize = 40;

/// The page of a sweep.
pub(crate) fn page(sweep: &Sweep) -> String {
    let all_well = sweep.rows.iter().all(Row::as_expected);
    let body = html! {
        header {
            p.eyebrow { span { "Fracas" } span { "sweep" } span { "version " (sweep.version) } }
            h1 { (sweep.title) }
        }
        section {
            h2 { "Runs" }
            div.scroll { table.stacked.settings {
                thead { tr {
                    th.sign {}
                    @for key in &sweep.keys { th { code { (key) } } }
                    th { (COLUMNS[0]) }
                    @for name in &COLUMNS[1..] { th.number { (name) } }
                    th { "seeds" }
                } }
                tbody { @for row in &sweep.rows { (of_values(sweep, row)) } }
            } }
            @if sweep.has_medians() { p.note { "Of several runs the medians." } }
        }
        (violations(sweep))
    };
    shell(if all_well { "good" } else { "bad" }, &sweep.title, &sweep.version, &body)
}

/// What to look at first in each run that violates something.
fn violations(sweep: &Sweep) -> Markup {
    let all = || {
        let runs = sweep.rows.iter().flat_map(|row| row.runs.iter().map(move |run| (row, run)));
        runs.filter_map(|(row, run)| Some((row, run, run.first.as_ref()?)))
    };
    let more = all().count().saturating_sub(SENTENCES_MAX);
    html! {
        @if all().next().is_some() {
            section {
                h2 { "To look at first" }
                ul.plain {
                    @for (row, run, first) in all().take(SENTENCES_MAX) {
                        li {
                            @for value in &row.values { code { (value) } " " }
                            "seed " (seed(run)) ": " (first)
                        }
                    }
                }
                @if more > 0 { p.note { "and " (more) " more" } }
            }
        }
    }
}

/// A run by its seed, with a link to its report.
fn seed(run: &SweepRun) -> Markup {
    html! {
        @match &run.folder {
            Some(folder) if run.summary.is_some() => a href={ (folder) "/report.html" } { (run.seed) },
            _ => (run.seed),
        }
    }
}

fn of_values(sweep: &Sweep, row: &Row) -> Markup {
    let (class, sign) = match row.as_expected() {
        true => ("held", "✓"),
        false if row.is_open() => ("unknown", "?"),
        false => ("violated", "✗"),
    };
    let cells = row.cells();
    html! {
        tr class=(class) {
            td.sign { (sign) }
            @for (key, value) in sweep.keys.iter().zip(&row.values) {
                td data-label=(key) { code { (value) } }
            }
            td { (cells[0]) }
            @for (name, cell) in COLUMNS[1..].iter().zip(&cells[1..]) {
                td.number data-label=(name) { (cell) }
            }
            td data-label="seeds" {
                @for run in &row.runs {
                    (seed(run)) " "
                }
            }
        }
    }
}
