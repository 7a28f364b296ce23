//! A comparison in a terminal, and as Markdown.

use super::markdown::{code, text};
use super::terminal::{lines, wrapped};
use crate::compare::{Comparison, Gate, Outcome, Side};
use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, Table, presets};
use std::fmt::Write as _;

/// Narrower terminals get lines that wrap.
const WIDTH_MIN: u16 = 60;
/// Wider ones get no wider table.
const WIDTH_MAX: u16 = 120;

/// The table, what differs beside it, and the gates.
pub fn comparison(compared: &Comparison, colour: bool, width: u16) -> String {
    let width = width.clamp(WIDTH_MIN, WIDTH_MAX);
    let outcome = compared.outcome();
    let word = outcome.word();
    let code = match outcome {
        Outcome::Worse => "31",
        Outcome::NotClear => "33",
        Outcome::Same | Outcome::Better => "32",
    };
    let word = if colour { format!("\u{1b}[1;{code}m{word}\u{1b}[0m") } else { word.to_owned() };
    let mut parts = vec![format!("{word}  B against A: {}", compared.tally())];
    parts.push(format!("{}\n{}", side("A", &compared.a), side("B", &compared.b)));
    let told: Vec<String> =
        compared.differences.iter().map(|one| wrapped(&format!("! {one}"), width)).collect();
    parts.push(told.join("\n"));
    parts.push(metrics(compared, colour, width));
    let whys = compared.metrics.iter().filter_map(|one| Some((one.metric, one.why.as_ref()?)));
    let whys: Vec<String> =
        whys.map(|(metric, why)| wrapped(&format!("? {metric}: {why}"), width)).collect();
    parts.push(whys.join("\n"));
    parts.push(gates(compared));
    parts.push(wrapped(&compared.legend(), width));
    parts.retain(|part| !part.is_empty());
    parts.join("\n\n") + "\n"
}

fn side(name: &str, side: &Side) -> String {
    let runs = side.folders.len();
    let (first, last) = (side.folders.first(), side.folders.last());
    let folders = match (first, last) {
        (Some(first), Some(last)) if runs > 1 => format!("{first} … {last}"),
        (Some(first), _) => first.clone(),
        _ => String::new(),
    };
    let plural = if runs == 1 { "" } else { "s" };
    format!("{name}  {}, {runs} run{plural}, seeds {}: {folders}", side.scenario, side.seeds)
}

fn metrics(compared: &Comparison, colour: bool, width: u16) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(width);
    if colour {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
    let head = ["A", "B", "change", "interval"].map(|text| right(text.to_owned()));
    table.set_header([Cell::new(""), Cell::new("")].into_iter().chain(head).chain([Cell::new("")]));
    for one in &compared.metrics {
        let paint = |cell: Cell| match one.outcome {
            _ if !colour => cell,
            Outcome::Worse => cell.fg(Color::Red).add_attribute(Attribute::Bold),
            Outcome::Better => cell.fg(Color::Green),
            Outcome::NotClear => cell.fg(Color::Yellow),
            Outcome::Same => cell,
        };
        let values = [one.a_words(), one.b_words(), one.ratio_words(), one.interval_words()];
        let cells = [paint(Cell::new(one.outcome.sign())), Cell::new(one.metric)];
        let cells = cells.into_iter().chain(values.map(right));
        table.add_row(cells.chain([paint(Cell::new(one.outcome.word()))]));
    }
    lines(&table).replace(crate::number::NARROW, ",")
}

fn gates(compared: &Comparison) -> String {
    let told = compared.gates.iter().map(|gate| {
        let (sign, word) = told(gate);
        format!("{sign} fail if {}: {word}; {}", gate.fail_if, gate.got)
    });
    told.collect::<Vec<_>>().join("\n")
}

/// The comparison as Markdown, for a review or the summary of a CI run.
pub(crate) fn markdown(compared: &Comparison) -> String {
    let mut out = format!("# B against A: {}\n\n", compared.outcome().word());
    let _ = writeln!(out, "{}.\n", compared.tally());
    for (name, side) in [("A", &compared.a), ("B", &compared.b)] {
        let folders: Vec<String> =
            side.folders.iter().map(|folder| format!("`{}`", code(folder))).collect();
        let (scenario, seeds) = (text(&side.scenario), &side.seeds);
        let _ = writeln!(out, "- {name}: {scenario}, seeds {seeds}: {}", folders.join(", "));
    }
    for one in &compared.differences {
        let _ = writeln!(out, "- Note: {}", text(one));
    }
    if !compared.gates.is_empty() {
        out.push_str("\n| | fails if | change |\n| --- | --- | --- |\n");
    }
    for gate in &compared.gates {
        let (sign, _) = told(gate);
        let _ = writeln!(out, "| {sign} | `{}` | {} |", code(&gate.fail_if), text(&gate.got));
    }
    out.push_str("\n| | figure | A | B | change | interval | |\n");
    out.push_str("| --- | --- | --: | --: | --: | --: | --- |\n");
    for one in &compared.metrics {
        let why = one.why.as_ref().map(|why| format!(": {}", text(why))).unwrap_or_default();
        let _ = writeln!(
            out,
            "| {} | `{}` | {} | {} | {} | {} | {}{why} |",
            one.outcome.sign(),
            one.metric,
            one.a_words(),
            one.b_words(),
            one.ratio_words(),
            one.interval_words(),
            one.outcome.word()
        );
    }
    let _ = writeln!(out, "\n{}", compared.legend());
    out
}

/// What became of a demand: a sign and a word.
fn told(gate: &Gate) -> (&'static str, &'static str) {
    match gate.failed {
        Some(true) => ("✗", "fails"),
        Some(false) => ("✓", "passes"),
        None => ("?", "cannot be told"),
    }
}
