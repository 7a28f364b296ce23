//! `report.md`: the report for people who read diffs and the summaries of CI runs.
//!
//! GitHub-flavoured; the same order as the page: verdict, expectations, invariants, latency,
//! faults, violations, counts, how to reproduce the run.

use crate::claim;
use crate::measured::{Band, Latency, Percentiles};
use crate::number;
use crate::run::Run;
use crate::text::effect::effect;
use crate::text::notes::{STEADY, behind_warm_up, latency_notes, recovered, recovery};
use crate::text::totals::totals;
use crate::text::{first, requests};
use crate::violations::{Group, grouped};
use std::fmt::Write as _;
use verify::verdict::{Evidence, Finding};

/// Fault episodes that are listed; a random run can have hundreds, and the page draws them all.
const FAULTS_MAX: usize = 50;

/// The report of a run.
pub(crate) fn markdown(run: &Run) -> String {
    let mut out = String::new();
    head(run, &mut out);
    expectations(run, &mut out);
    invariants(run, &mut out);
    latency(run, &mut out);
    rest_users(run, &mut out);
    faults(run, &mut out);
    violations(run, &mut out);
    processes(run, &mut out);
    counts(run, &mut out);
    reproduce(run, &mut out);
    out
}

fn head(run: &Run, out: &mut String) {
    let word = run.outcome_word();
    let _ = writeln!(out, "# {}: {word}\n", text(&run.header.scenario));
    let (seed, engine, version) = (run.header.seed, run.engine(), text(run.version));
    let _ = writeln!(
        out,
        "**{word}**, {}. Seed {seed}, {engine}, Fracas {version}.\n",
        run.agreement()
    );
    let _ = writeln!(out, "{}\n", text(&run.verdict_sentence()));
    if let Some(sentence) = first::violation(run) {
        let _ = writeln!(out, "{}\n", text(&sentence));
    }
    for design in first::designs(run) {
        let _ = writeln!(out, "{design}\n");
    }
    if let Some(prediction) = first::prediction(run) {
        let _ = writeln!(out, "{}\n", text(&prediction));
    }
    if !run.scenario.question.is_empty() {
        let _ = writeln!(out, "> {}\n", text(&run.scenario.question));
    }
    if !run.scenario.lesson.is_empty() {
        let _ = writeln!(out, "Lesson: {}\n", text(&run.scenario.lesson));
    }
    for doubt in crate::doubts::folded(&run.judgement.doubts) {
        let _ = writeln!(out, "- Not certain: {}", text(&doubt));
    }
    for note in run.notes {
        let _ = writeln!(out, "- Note: {}", text(note));
    }
    if !run.judgement.doubts.is_empty() || !run.notes.is_empty() {
        out.push('\n');
    }
}

fn expectations(run: &Run, out: &mut String) {
    out.push_str("## Expectations\n\n| | what | wanted | got |\n| --- | --- | --- | --- |\n");
    for expectation in run.expectations {
        let sign = match expectation.met {
            Some(true) => "✓",
            Some(false) => "✗",
            None => "?",
        };
        let [what, wanted, got] =
            [&expectation.what, &expectation.wanted, &expectation.got].map(|cell| text(cell));
        let _ = writeln!(out, "| {sign} | {what} | {wanted} | {got} |");
    }
    out.push('\n');
}

fn invariants(run: &Run, out: &mut String) {
    out.push_str("## Invariants\n\n");
    out.push_str(
        "| | invariant | claim | judged | violations |\n| --- | --- | --- | --: | --: |\n",
    );
    for found in &run.judgement.findings {
        let status = run.status(found);
        let judged = format!("{} {}", number::count(found.judged), found.unit);
        let claim = claim::of(&found.invariant).unwrap_or_default();
        let _ = writeln!(
            out,
            "| {} | `{}` | {} | {} | {} |",
            status.sign(),
            code(&found.invariant),
            text(claim),
            text(&judged),
            number::count(found.violations)
        );
    }
    out.push('\n');
}

fn latency(run: &Run, out: &mut String) {
    let measured = run.measured;
    out.push_str("## Latency, from the intended time\n\n");
    out.push_str("| | p50 | p90 | p99 | p99.9 | max | count |\n");
    out.push_str("| --- | --: | --: | --: | --: | --: | --: |\n");
    for (name, latency) in
        [("until accepted", &measured.accept), ("until shown elsewhere", &measured.deliver)]
    {
        let Latency { all, calm, under_fault, .. } = latency;
        percentiles(name, all, out);
        if let Some(steady) = behind_warm_up(measured, latency) {
            percentiles(&format!("&emsp;{STEADY}"), steady, out);
        }
        if under_fault.count > 0 {
            percentiles("&emsp;calm", calm, out);
            percentiles("&emsp;under faults", under_fault, out);
        }
    }
    percentiles("generator's lateness", &measured.lateness, out);
    for note in recovery(measured).into_iter().chain(latency_notes(measured)) {
        let _ = write!(out, "\n{}\n", text(&note));
    }
    out.push('\n');
}

fn rest_users(run: &Run, out: &mut String) {
    let rows = requests::rows(&run.measured.requests);
    if rows.is_empty() {
        return;
    }
    let _ = writeln!(out, "## {}\n", requests::TITLE);
    let _ = writeln!(out, "| request | {} |", requests::HEAD.join(" | "));
    let _ = writeln!(out, "| --- |{}", " --: |".repeat(requests::HEAD.len()));
    for (name, values) in rows {
        let name = text(&name).replace("  ", "&emsp;");
        let _ = writeln!(out, "| {name} | {} |", values.map(|value| text(&value)).join(" | "));
    }
    let _ = writeln!(out, "\n{}\n", requests::NOTE);
}

fn percentiles(name: &str, percentiles: &Percentiles, out: &mut String) {
    let Percentiles { count, p50_us, p90_us, p99_us, p999_us, max_us, .. } = *percentiles;
    let _ = write!(out, "| {name} |");
    for value in [p50_us, p90_us, p99_us, p999_us, max_us] {
        let _ = write!(out, " {} |", number::latency_or_dash(value));
    }
    let _ = writeln!(out, " {} |", number::count(count));
}

fn faults(run: &Run, out: &mut String) {
    let bands = &run.measured.faults;
    if bands.is_empty() {
        return;
    }
    out.push_str("## Faults\n\n| fault | target | from | to | effect | back within |\n");
    out.push_str("| --- | --- | --: | --: | --: | --: |\n");
    for band in bands.iter().take(FAULTS_MAX) {
        let Band { kind, target, from_us, to_us, recovery, .. } = band;
        let dash = || "–".to_owned();
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} |",
            text(kind),
            text(target),
            number::moment(*from_us),
            to_us.map_or_else(dash, number::moment),
            effect(band, run.header.engine).unwrap_or_else(dash),
            recovered(*recovery)
        );
    }
    if bands.len() > FAULTS_MAX {
        let _ = writeln!(out, "\nand {} more.", number::count((bands.len() - FAULTS_MAX) as u64));
    }
    out.push('\n');
}

fn violations(run: &Run, out: &mut String) {
    let groups = grouped(run.judgement);
    if groups.is_empty() {
        return;
    }
    out.push_str("## Violations\n\n");
    for Group { first, consequences } in &groups {
        violation(first, out);
        if !consequences.is_empty() {
            let names: Vec<String> =
                consequences.iter().map(|found| format!("`{}`", code(&found.invariant))).collect();
            folded(&format!("What usually breaks with it: {}", names.join(", ")), out, |out| {
                for found in consequences {
                    violation(found, out);
                }
            });
        }
    }
}

fn violation(found: &Finding, out: &mut String) {
    let times = number::counted(found.violations, "violations", number::NARROW);
    let _ = writeln!(out, "### `{}`: {times}\n", code(&found.invariant));
    let Some((first, more)) = found.evidence.split_first() else { return };
    evidence(first, out);
    if !more.is_empty() {
        let more_told = number::counted(more.len() as u64, "more violations", number::NARROW);
        folded(&format!("Evidence of {more_told}"), out, |out| {
            for shown in more {
                evidence(shown, out);
            }
        });
    }
}

/// What only some readers want.
fn folded(summary: &str, out: &mut String, content: impl FnOnce(&mut String)) {
    let _ = writeln!(out, "<details><summary>{summary}</summary>\n");
    content(out);
    out.push_str("</details>\n\n");
}

fn evidence(shown: &Evidence, out: &mut String) {
    let _ = writeln!(out, "**{}** {}\n", number::moment(shown.at), text(&shown.what));
    for fault in &shown.faults {
        let _ = writeln!(out, "- {}", text(fault));
    }
    if !shown.faults.is_empty() {
        out.push('\n');
    }
    if !shown.history.is_empty() {
        folded("history", out, |out| {
            block("json", &shown.history.join("\n"), out);
            out.push('\n');
        });
    }
}

fn processes(run: &Run, out: &mut String) {
    let processes = &run.measured.processes;
    if processes.is_empty() {
        return;
    }
    out.push_str("## Processes\n\n| process | CPU | memory | open files | data |\n");
    out.push_str("| --- | --: | --: | --: | --: |\n");
    for used in processes {
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} |",
            text(&used.process),
            number::span(used.cpu_us),
            number::bytes(used.memory_bytes_max),
            number::count(used.open_files_max),
            used.disk_bytes.map_or_else(|| "–".to_owned(), number::bytes)
        );
    }
    out.push('\n');
}

fn counts(run: &Run, out: &mut String) {
    out.push_str("## Counts\n\n| | |\n| --- | --: |\n");
    for (name, value) in totals(run.measured) {
        let _ = writeln!(out, "| {} | {} |", text(&name), number::count(value));
    }
    out.push('\n');
}

fn reproduce(run: &Run, out: &mut String) {
    out.push_str("## Reproduce this run\n\n");
    block("sh", run.reproduce, out);
    let span = |duration| number::span(number::micros(duration));
    let _ = writeln!(
        out,
        "\nIt took {} ({} of CPU). The history is in `{}`.\n",
        span(run.took.wall),
        span(run.took.cpu),
        code(run.history_file)
    );
    out.push_str("<details><summary>the scenario in effect</summary>\n\n");
    block("toml", run.scenario_toml, out);
    out.push_str("\n</details>\n");
}

/// A fenced block; the fence is longer than every run of backticks within.
fn block(language: &str, content: &str, out: &mut String) {
    let mut longest = 0;
    let mut run = 0;
    for character in content.chars() {
        run = if character == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat(3.max(longest + 1));
    let _ = writeln!(out, "{fence}{language}\n{}\n{fence}", content.trim_end());
}

/// Content of a code span in a table's cell.
pub(super) fn code(content: &str) -> String {
    content.replace('`', "'").replace('|', "\\|").replace(['\n', '\r'], " ")
}

/// Text that means nothing but itself.
pub(super) fn text(content: &str) -> String {
    let mut out = String::with_capacity(content.len());
    for character in content.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\\' | '|' | '`' | '*' | '_' | '[' | ']' | '#' | '~' => {
                out.push('\\');
                out.push(character);
            }
            '\n' | '\r' => out.push(' '),
            _ => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests;
