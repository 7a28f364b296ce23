//! The short table at the end of a run.

use crate::doubts;
use crate::expectation::Expectation;
use crate::measured::{Latency, Percentiles};
use crate::number::{self, COMMA};
use crate::run::{Run, Status};
use crate::text::{first, notes, requests};
use crate::violations::{self, Group};
use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, Table, presets};
use verify::verdict::Verdict;

/// Narrower terminals get lines that wrap.
const WIDTH_MIN: u16 = 40;
/// Wider ones get no wider table: a line must stay easy to follow.
const WIDTH_MAX: u16 = 120;
/// Narrower ones have no room for what was judged beside its number.
const WIDTH_OF_UNITS: u16 = 76;
/// Reasons for an unknown verdict that are shown here; the other forms of the report have all of them.
const DOUBTS_MAX: usize = 6;

/// The verdict, what was judged, the first evidence of each violation, and the latencies, in lines
/// of at most `width` columns, the first and the last one excepted. The last line of a failed run is the command that reproduces it.
pub fn terminal(run: &Run, colour: bool, width: u16) -> String {
    let page = Page { run, colour, width: width.clamp(WIDTH_MIN, WIDTH_MAX) };
    let mut parts = vec![page.headline()];
    let told_first = first::violation(run).into_iter().chain(first::designs(run));
    let told_first = told_first.chain(first::prediction(run));
    parts.extend(told_first.map(|told| wrapped(&printable(&told), page.width)));
    parts.push(page.invariants());
    parts.extend(page.violations());
    parts.extend(page.doubts());
    parts.extend(page.notes());
    parts.push(page.latencies());
    parts.extend(notes::recovery(run.measured).map(|told| wrapped(&told, page.width)));
    parts.extend(page.requests());
    parts.extend(page.processes());
    parts.push(page.expectations());
    parts.push(wrapped(&page.counts(), page.width) + "\n" + &wrapped(&page.footer(), page.width));
    parts.retain(|part| !part.is_empty());
    let mut text = parts.join("\n\n");
    text.push('\n');
    if run.failed() {
        // Alone on its line and last, so that it is found and copied without a search.
        text.push('\n');
        text.push_str(run.reproduce);
        text.push('\n');
    }
    text
}

struct Page<'a> {
    run: &'a Run<'a>,
    colour: bool,
    width: u16,
}

impl Page<'_> {
    fn headline(&self) -> String {
        let run = self.run;
        let word = run.outcome_word();
        let colour = match run.judgement.verdict {
            Verdict::Violated if run.violates_as_wanted() => "32",
            Verdict::Valid => "32",
            Verdict::Violated => "31",
            Verdict::Unknown => "33",
        };
        let word = if self.colour {
            format!("\u{1b}[1;{colour}m{word}\u{1b}[0m")
        } else {
            word.to_owned()
        };
        let (scenario, seed) = (&run.header.scenario, run.header.seed);
        format!("{word}  {scenario}, seed {seed}, {}: {}", run.engine(), run.agreement())
    }

    fn invariants(&self) -> String {
        let mut table = self.table();
        let right = |text: &str| Cell::new(text).set_alignment(CellAlignment::Right);
        let units = self.width >= WIDTH_OF_UNITS;
        let head = [Cell::new(""), Cell::new("invariant"), right("judged")];
        let of_units = units.then(|| Cell::new(""));
        table.set_header(head.into_iter().chain(of_units).chain([right("violations")]));
        for found in &self.run.judgement.findings {
            let status = self.run.status(found);
            let violations = match found.violations {
                0 => "–".to_owned(),
                some => number::grouped(some, COMMA),
            };
            let row = [
                self.paint(Cell::new(status.sign()), status),
                self.alarm(Cell::new(&found.invariant), status),
                right(&number::grouped(found.judged, COMMA)),
            ];
            let unit = units.then(|| Cell::new(&found.unit));
            let violations = self.alarm(right(&violations), status);
            table.add_row(row.into_iter().chain(unit).chain([violations]));
        }
        lines(&table)
    }

    /// The likely causes with their first evidence; what usually breaks with them by name alone.
    fn violations(&self) -> Vec<String> {
        let told = |group: &Group| {
            let found = group.first;
            let shown = found.evidence.first()?;
            let text =
                format!("{} at {}: {}", found.invariant, number::moment(shown.at), shown.what);
            let faults = shown.faults.iter().cloned();
            let names: Vec<&str> =
                group.consequences.iter().map(|found| &*found.invariant).collect();
            let with =
                (!names.is_empty()).then(|| format!("usually with it: {}", names.join(", ")));
            let parts: Vec<_> = std::iter::once(text).chain(faults).chain(with).collect();
            let mut table = self.table();
            for (line, text) in parts.iter().enumerate() {
                let sign = if line == 0 { self.run.status(found).sign() } else { "" };
                table.add_row([sign, &printable(text)]);
            }
            Some(lines(&table))
        };
        violations::grouped(self.run.judgement).iter().filter_map(told).collect()
    }

    fn doubts(&self) -> Option<String> {
        let doubts = doubts::folded(&self.run.judgement.doubts);
        if doubts.is_empty() {
            return None;
        }
        let mut table = self.table();
        for doubt in doubts.iter().take(DOUBTS_MAX) {
            table.add_row(["?", &printable(doubt)]);
        }
        if doubts.len() > DOUBTS_MAX {
            let more = number::grouped((doubts.len() - DOUBTS_MAX) as u64, COMMA);
            table.add_row(["", &format!("and {more} more reasons")]);
        }
        Some(lines(&table))
    }

    fn notes(&self) -> Option<String> {
        let mut table = self.table();
        for note in self.run.notes {
            table.add_row(["·", &printable(note)]);
        }
        (!self.run.notes.is_empty()).then(|| lines(&table))
    }

    fn latencies(&self) -> String {
        let measured = self.run.measured;
        let mut table = self.table();
        let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
        let head = ["p50", "p90", "p99", "p99.9", "max", "count"];
        let head = head.map(|text| right(text.to_owned()));
        table.set_header(std::iter::once(Cell::new("latency")).chain(head));
        let mut row = |name: &str, percentiles: &Percentiles| {
            let Percentiles { count, p50_us, p90_us, p99_us, p999_us, max_us, .. } = *percentiles;
            let values = [p50_us, p90_us, p99_us, p999_us, max_us].map(number::latency_or_dash);
            let count = number::grouped(count, COMMA);
            let cells = values.into_iter().chain([count]).map(right);
            table.add_row(std::iter::once(Cell::new(name)).chain(cells));
        };
        for (name, latency) in [("accept", &measured.accept), ("deliver", &measured.deliver)] {
            let Latency { all, calm, under_fault, .. } = latency;
            row(name, all);
            if let Some(steady) = notes::behind_warm_up(measured, latency) {
                row(&format!("  {}", notes::STEADY), steady);
            }
            if under_fault.count > 0 {
                row("  calm", calm);
                row("  under faults", under_fault);
            }
        }
        lines(&table)
    }

    fn requests(&self) -> Option<String> {
        let mut table = self.table();
        let right = |text: &str| {
            Cell::new(text.replace(number::NARROW, ",")).set_alignment(CellAlignment::Right)
        };
        let title = format!("{} (closed loop)", requests::TITLE);
        table.set_header(std::iter::once(Cell::new(title)).chain(requests::HEAD.map(right)));
        let rows = requests::rows(&self.run.measured.requests);
        for (name, values) in &rows {
            let cells = values.iter().map(|value| right(value));
            table.add_row(std::iter::once(Cell::new(name)).chain(cells));
        }
        (!rows.is_empty()).then(|| lines(&table))
    }

    fn processes(&self) -> Option<String> {
        let mut table = self.table();
        let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
        let head = ["CPU", "memory", "open files", "data"].map(|text| right(text.to_owned()));
        table.set_header(std::iter::once(Cell::new("process")).chain(head));
        for used in &self.run.measured.processes {
            let values = [
                number::span(used.cpu_us),
                number::bytes(used.memory_bytes_max),
                number::grouped(used.open_files_max, COMMA),
                used.disk_bytes.map_or_else(|| "–".to_owned(), number::bytes),
            ];
            let cells = values.map(|value| right(value.replace(number::NARROW, ",")));
            table.add_row(std::iter::once(Cell::new(&used.process)).chain(cells));
        }
        (!self.run.measured.processes.is_empty()).then(|| lines(&table))
    }

    fn expectations(&self) -> String {
        let mut table = self.table();
        for Expectation { what, wanted, got, met } in self.run.expectations {
            let status = match met {
                Some(true) => Status::Held,
                Some(false) => Status::Violated,
                None => Status::Unknown,
            };
            let compared = format!("wanted {wanted}; got {got}").replace(number::NARROW, ",");
            table.add_row([
                self.paint(Cell::new(status.sign()), status),
                Cell::new(what),
                Cell::new(printable(&compared)),
            ]);
        }
        lines(&table)
    }

    fn counts(&self) -> String {
        let totals = &self.run.measured.totals;
        [
            (totals.sent(), "sent"),
            (totals.accepted, "accepted"),
            (totals.rejected_in_all(), "refused"),
            (totals.unanswered, "unanswered"),
            (totals.delivered, "delivered to other devices"),
        ]
        .map(|(count, what)| format!("{} {what}", number::grouped(count, COMMA)))
        .join(", ")
    }

    fn footer(&self) -> String {
        let run = self.run;
        let span = |duration| number::span(number::micros(duration));
        let mut parts = vec![number::counted(run.judgement.events, "events", COMMA)];
        if let Some(speed) = run.speed() {
            parts.push(format!("{} simulated", span(run.took.simulated)));
            parts.push(format!("{} of CPU ({speed:.1} simulated s per CPU s)", span(run.took.cpu)));
        } else {
            parts.push(format!("{} of CPU", span(run.took.cpu)));
        }
        parts.push(format!("{} in all", span(run.took.wall)));
        parts.join(", ")
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
        table.set_width(self.width);
        if self.colour {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        table
    }

    /// Colours what somebody must look at, and leaves the rest alone.
    fn alarm(&self, cell: Cell, status: Status) -> Cell {
        if status == Status::Held { cell } else { self.paint(cell, status) }
    }

    fn paint(&self, cell: Cell, status: Status) -> Cell {
        if !self.colour {
            return cell;
        }
        match status {
            Status::Held | Status::ViolatedAsWanted => cell.fg(Color::Green),
            Status::Violated => cell.fg(Color::Red).add_attribute(Attribute::Bold),
            Status::Unknown => cell.fg(Color::Yellow),
            Status::Idle => cell.fg(Color::DarkGrey),
        }
    }
}

/// A table without the spaces at its lines' ends.
pub(super) fn lines(table: &Table) -> String {
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// A sentence in lines of at most `width` columns, broken between words.
pub fn wrapped(text: &str, width: u16) -> String {
    let mut out = String::new();
    let mut column = 0;
    for word in text.split(' ') {
        let letters = word.chars().count();
        if column > 0 && column + 1 + letters > usize::from(width) {
            out.push('\n');
            column = 0;
        } else if column > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += letters;
    }
    out
}

/// Text that cannot move the cursor or change the terminal's colours.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests;
