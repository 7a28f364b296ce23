//! The table of a sweep, in a terminal and as Markdown.

use super::fitted::fitted;
use super::markdown::{code, text};
use crate::number::NARROW;
use crate::sweep::{COLUMNS, Row, Sweep};
use comfy_table::{Cell, CellAlignment, Color, ContentArrangement, Table, presets};
use std::fmt::Write as _;

/// An empty table whose lines are not wrapped: one that is too long for a terminal is easier to read than
/// cells of three lines.
pub(crate) fn unwrapped(colour: bool) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    if colour {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    table
}

/// One row per combination of values; where `width` has no room for the table, a paragraph.
pub fn sweep_table(sweep: &Sweep, colour: bool, width: u16) -> String {
    let mut table = unwrapped(colour);
    let right = |text: &str| Cell::new(text).set_alignment(CellAlignment::Right);
    let head = sweep.keys.iter().map(Cell::new).chain([Cell::new(COLUMNS[0])]);
    table.set_header(head.chain(COLUMNS[1..].iter().map(|name| right(name))));
    for row in &sweep.rows {
        let cells = row.cells();
        let verdict = Cell::new(&cells[0]);
        let alarms = colour && !row.as_expected();
        let verdict = if alarms { verdict.fg(Color::Red) } else { verdict };
        let values = row.values.iter().map(Cell::new);
        table.add_row(values.chain([verdict]).chain(cells[1..].iter().map(|cell| right(cell))));
    }
    let mut told = fitted(&table, width).replace(NARROW, ",");
    if sweep.has_medians() {
        told.push_str("\n(medians of the runs)");
    }
    told
}

/// The index of a sweep's folder, as Markdown.
pub(crate) fn markdown(sweep: &Sweep) -> String {
    let mut out = format!("# {}\n\n", text(&sweep.title));
    let heads = sweep.keys.iter().map(|key| format!("`{}`", code(key)));
    let heads = heads.chain(COLUMNS.map(str::to_owned)).chain(["runs".to_owned()]);
    let heads: Vec<String> = heads.collect();
    let _ = writeln!(out, "| {} |\n|{}", heads.join(" | "), " --- |".repeat(heads.len()));
    for row in &sweep.rows {
        let cells = row.values.iter().map(|value| format!("`{}`", code(value)));
        let cells =
            cells.chain(row.cells().into_iter().map(|cell| text(&cell))).chain([links(row)]);
        let _ = writeln!(out, "| {} |", cells.collect::<Vec<_>>().join(" | "));
    }
    if sweep.has_medians() {
        out.push_str("\nOf several runs the medians.\n");
    }
    let _ = writeln!(out, "\nFracas {}.", text(&sweep.version));
    out
}

fn links(row: &Row) -> String {
    let links = row.runs.iter().map(|run| match &run.folder {
        Some(folder) if run.summary.is_some() => format!("[{}]({folder}/report.md)", run.seed),
        _ => run.seed.to_string(),
    });
    links.collect::<Vec<_>>().join(" ")
}
