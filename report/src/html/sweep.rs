//! `index.html`: the runs of a sweep in one table, each with a link to its report.

use super::shell;
use crate::sweep::{COLUMNS, Row, Sweep};
use maud::{Markup, html};

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
            div.scroll { table.stacked {
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
    };
    shell(if all_well { "good" } else { "bad" }, &sweep.title, &sweep.version, &body)
}

fn of_values(sweep: &Sweep, row: &Row) -> Markup {
    let (class, sign) = if row.as_expected() { ("held", "✓") } else { ("violated", "✗") };
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
                    @match &run.folder {
                        Some(folder) if run.summary.is_some() => {
                            a href={ (folder) "/report.html" } { (run.seed) }
                        },
                        _ => (run.seed),
                    }
                    " "
                }
            }
        }
    }
}
