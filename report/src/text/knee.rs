//! A knee in a terminal, and as Markdown.

use super::markdown::{code, text};
use super::sweep::unwrapped;
use super::terminal::{lines, wrapped};
use crate::knee::words::COLUMNS;
use crate::knee::{End, Knee, Level, Outcome};
use comfy_table::{Cell, CellAlignment, Color};
use std::fmt::Write as _;

/// The knee, its levels, what was used up, the law.
pub fn knee(knee: &Knee, colour: bool, width: u16) -> String {
    let width = width.clamp(60, 120);
    let code = match knee.end.status() {
        0 => "32",
        1 => "31",
        _ => "33",
    };
    let word = knee.headline();
    let word = if colour { format!("\u{1b}[1;{code}m{word}\u{1b}[0m") } else { word };
    let mut parts = vec![format!("{word}  {}", knee.scenario), wrapped(&knee.sentence(), width)];
    parts.push(levels(knee, colour));
    let section = |title: &str, told: Vec<String>| {
        let told: Vec<String> = told
            .iter()
            .map(|one| format!("  {}", wrapped(one, width - 2).replace('\n', "\n    ")))
            .collect();
        if told.is_empty() { String::new() } else { format!("{title}\n{}", told.join("\n")) }
    };
    parts.push(section("What was used up", knee.saturation()));
    parts.push(section("Universal Scalability Law", knee.law()));
    parts.push(section("Thresholds", thresholds(knee)));
    parts.push(wrapped(&knee.machine, width));
    parts.retain(|part| !part.is_empty());
    let mut told = parts.join("\n\n").replace(crate::number::NARROW, ",") + "\n";
    if knee.end != End::Held {
        let _ = writeln!(told, "\n{}", knee.reproduce);
    }
    told
}

/// What a level must keep to.
pub(crate) fn thresholds(knee: &Knee) -> Vec<String> {
    let always = "valid, and 99 % of what was sent accepted as fast".to_owned();
    std::iter::once(always).chain(knee.thresholds.iter().cloned()).collect()
}

fn levels(knee: &Knee, colour: bool) -> String {
    let mut table = unwrapped(colour);
    let right = |text: &str| Cell::new(text).set_alignment(CellAlignment::Right);
    let head = std::iter::once(Cell::new("")).chain(COLUMNS[..5].iter().map(|name| right(name)));
    table.set_header(head.chain([Cell::new(COLUMNS[5]), Cell::new("")]));
    for level in by_rate(knee) {
        let sign = Cell::new(level.outcome.sign());
        let sign = match level.outcome {
            _ if !colour => sign,
            Outcome::Sustained => sign.fg(Color::Green),
            Outcome::Broken => sign.fg(Color::Red),
            Outcome::GeneratorLimited | Outcome::Unknown => sign.fg(Color::Yellow),
        };
        let cells = level.cells();
        let row = std::iter::once(sign).chain(cells[..5].iter().map(|cell| right(cell)));
        table.add_row(row.chain([Cell::new(&cells[5]), Cell::new(level.told())]));
    }
    lines(&table)
}

/// The levels, the lowest rate first.
pub(crate) fn by_rate(knee: &Knee) -> Vec<&Level> {
    let mut levels: Vec<&Level> = knee.levels.iter().collect();
    levels.sort_by(|a, b| a.rate.total_cmp(&b.rate).then(a.is_hold.cmp(&b.is_hold)));
    levels
}

/// The same as Markdown.
pub(crate) fn markdown(knee: &Knee) -> String {
    let mut out = format!("# {}: {}\n\n", text(&knee.scenario), knee.headline());
    let _ = writeln!(out, "{}\n", text(&knee.sentence()));
    let _ = writeln!(out, "| | {} | |", COLUMNS.join(" | "));
    let _ = writeln!(out, "| --- |{} --- | --- |", " --: |".repeat(5));
    for level in by_rate(knee) {
        let cells: Vec<String> = level.cells().iter().map(|cell| text(cell)).collect();
        let told = match &level.folder {
            Some(folder) => format!("[{}]({folder}/report.md)", text(&level.told())),
            None => text(&level.told()),
        };
        let _ = writeln!(out, "| {} | {} | {told} |", level.outcome.sign(), cells.join(" | "));
    }
    for (title, told) in [
        ("What was used up", knee.saturation()),
        ("Universal Scalability Law", knee.law()),
        ("Thresholds", thresholds(knee)),
    ] {
        if !told.is_empty() {
            let _ = writeln!(out, "\n## {title}\n");
            for one in &told {
                let _ = writeln!(out, "- {}", text(one));
            }
        }
    }
    let _ = writeln!(out, "\n{}. Fracas {}.", text(&knee.machine), text(&knee.version));
    let _ = writeln!(out, "\n`{}`", code(&knee.reproduce));
    out
}
