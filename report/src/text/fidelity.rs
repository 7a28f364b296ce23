//! The fidelity report in a terminal, and as Markdown.

use super::fitted::fitted;
use super::markdown::text;
use super::sweep::unwrapped;
use super::terminal::wrapped;
use crate::fidelity::{Agreement, Fidelity, Pair};
use crate::measured::{Latency, Measured, Percentiles};
use crate::number::{self, NARROW};
use comfy_table::{Cell, CellAlignment, Color};
use std::fmt::Write as _;

/// What is said of the latencies.
pub(crate) const NOTE: &str = "Latencies are not judged: simulated time has no processors, so a real run adds what the code and the disk \
     cost. Medians of the runs. A recovery is known to a second, and agrees within a factor of two; it is known \
     of faults after which latency had time to come back before the next one.";

/// A latency: its name, of what, and which percentile.
type Figure = (&'static str, fn(&Measured) -> &Latency, fn(&Percentiles) -> Option<u64>);

/// The latencies that are shown.
pub(crate) const FIGURES: [Figure; 4] = [
    ("accept p50", |measured| &measured.accept, |of| of.p50_us),
    ("accept p99", |measured| &measured.accept, |of| of.p99_us),
    ("deliver p50", |measured| &measured.deliver, |of| of.p50_us),
    ("deliver p99", |measured| &measured.deliver, |of| of.p99_us),
];

/// A row of a scenario: verdicts, latencies and recovery, each simulated and real.
pub(crate) fn cells(pair: &Pair) -> Vec<[String; 2]> {
    let sides = pair.sides().map(|(_, side)| side);
    let mut cells = vec![sides.map(crate::fidelity::Side::verdicts)];
    cells.extend(FIGURES.map(|(_, of, percentile)| {
        sides.map(|side| number::latency_or_dash(side.percentile(of, percentile)))
    }));
    cells.push(sides.map(crate::fidelity::Side::recovery_told));
    cells
}

/// The names of the cells.
pub(crate) fn names() -> Vec<&'static str> {
    let figures = FIGURES.iter().map(|(name, ..)| *name);
    std::iter::once("verdict").chain(figures).chain(["recovery"]).collect()
}

/// A line for each scenario and world, then what may be the reasons.
pub fn fidelity_table(fidelity: &Fidelity, colour: bool, width: u16) -> String {
    let mut table = unwrapped(colour);
    let right = |text: &str| Cell::new(text).set_alignment(CellAlignment::Right);
    let names = names();
    let head = ["", "scenario", "", names[0]].map(Cell::new);
    table.set_header(head.into_iter().chain(names[1..].iter().map(|name| right(name))));
    for pair in &fidelity.pairs {
        let (sign, cells) = (pair.agreement(), cells(pair));
        for (number, (world, _)) in pair.sides().into_iter().enumerate() {
            let (first, name) = if number == 0 { (sign.sign(), &*pair.scenario) } else { ("", "") };
            let first = Cell::new(first);
            let first = match sign {
                Agreement::Differs if colour => first.fg(Color::Red),
                Agreement::Unknown if colour => first.fg(Color::Yellow),
                _ => first,
            };
            let row = [first, Cell::new(name), Cell::new(world), Cell::new(&cells[0][number])];
            let figures = cells[1..].iter().map(|cell| right(&cell[number]));
            table.add_row(row.into_iter().chain(figures));
        }
    }
    let mut told =
        format!("{}\n\n{}\n", fidelity.headline(), fitted(&table, width).replace(NARROW, ","));
    for pair in fidelity.pairs.iter().filter(|pair| pair.agreement() != Agreement::Same) {
        for reason in pair.reasons() {
            let line = format!("? {}: {reason}", pair.scenario);
            let _ = write!(told, "\n{}", wrapped(&line, width));
        }
    }
    for alone in &fidelity.alone {
        let _ = write!(told, "\n{}", wrapped(&format!("· {alone}"), width));
    }
    let _ = write!(told, "\n\n{}", wrapped(NOTE, width));
    told
}

/// The report as Markdown.
pub(crate) fn markdown(fidelity: &Fidelity) -> String {
    let mut out = format!("# Fidelity: {}\n\n", fidelity.headline());
    let names = names();
    let _ = writeln!(out, "| | scenario | | {} |", names.join(" | "));
    let _ = writeln!(out, "| --- | --- | --- | --- |{}", " --: |".repeat(names.len() - 1));
    for pair in &fidelity.pairs {
        let cells = cells(pair);
        for (number, (world, _)) in pair.sides().into_iter().enumerate() {
            let sign = if number == 0 { pair.agreement().sign() } else { "" };
            let row: Vec<&str> = cells.iter().map(|cell| &*cell[number]).collect();
            let row = row.join(" | ");
            let _ = writeln!(out, "| {sign} | {} | {world} | {row} |", text(&pair.scenario));
        }
    }
    for pair in &fidelity.pairs {
        one(pair, &mut out);
    }
    for alone in &fidelity.alone {
        let _ = writeln!(out, "\n- {}", text(alone));
    }
    let _ = writeln!(out, "\n{NOTE}\n\nFracas {}.", text(&fidelity.version));
    out
}

/// The faults and the reasons of one scenario.
fn one(pair: &Pair, out: &mut String) {
    let (faults, reasons) = (pair.faults(), pair.reasons());
    if faults.is_empty() && reasons.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n## {}\n", text(&pair.scenario));
    if !faults.is_empty() {
        out.push_str("| fault | back within, simulated | real |\n| --- | --: | --: |\n");
    }
    for (kind, simulated, real) in faults {
        let [simulated, real] = [simulated, real].map(|us| crate::fidelity::told(Some(us)));
        let _ = writeln!(out, "| {} | {simulated} | {real} |", text(&kind));
    }
    for (number, reason) in reasons.iter().enumerate() {
        let _ = writeln!(out, "{}- {}", if number == 0 { "\n" } else { "" }, text(reason));
    }
}
