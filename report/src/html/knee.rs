//! `knee.html`: a search for the knee on one page, with its curve.

use super::chart::scalability::scalability;
use super::shell;
use crate::knee::words::COLUMNS;
use crate::knee::{Knee, Level, Outcome};
use crate::text::knee::{by_rate, thresholds};
use maud::{Markup, html};

/// The page of a search.
pub(crate) fn page(knee: &Knee) -> String {
    let tone = match knee.end.status() {
        0 => "good",
        1 => "bad",
        _ => "doubt",
    };
    let headline = knee.headline();
    let body = html! {
        header {
            p.eyebrow { span { "Fracas" } span { "knee" } span { "version " (knee.version) } }
            h1 { (knee.scenario) }
            div.verdict {
                (sign(knee.end.status()))
                div { p.word { (headline) } p.agreement { "the highest rate that is sustained" } }
                p.sentence { (knee.sentence()) }
            }
            div.command {
                code { (knee.reproduce) }
                button type="button" data-copy=(knee.reproduce) { "Copy" }
            }
        }
        (list("What was used up", &knee.saturation()))
        section {
            h2 { "Universal Scalability Law" }
            figure.scroll { (scalability(knee)) }
            ul { @for one in knee.law() { li { (one) } } }
            p.note {
                "X(N) = λN / (1 + σ(N−1) + κN(N−1)), with N operations in flight: accepted per second times \
                 the mean time until accepted (Little's law). Area: the 95 % interval of the curve. Levels \
                 in which more and more was in flight have no N, and are not in it."
            }
        }
        section {
            h2 { "Levels" }
            (levels(knee))
            p.note { "Sent and accepted per second, after the beginning of the load." }
        }
        (processors(knee))
        (list("Thresholds of a level", &thresholds(knee)))
        section { h2 { "This search" } p { (knee.machine) } }
    };
    shell(tone, &format!("{}: {headline}", knee.scenario), &knee.version, &body)
}

fn list(title: &str, told: &[String]) -> Markup {
    html! {
        @if !told.is_empty() {
            section { h2 { (title) } ul { @for one in told { li { (one) } } } }
        }
    }
}

fn sign(status: u8) -> Markup {
    html! {
        svg.sign viewBox="0 0 48 48" aria-hidden="true" {
            circle cx="24" cy="24" r="24" {}
            @match status {
                0 => path d="M13.5 25l7 7.5L34.5 17" {},
                1 => path d="M16 16l16 16M32 16L16 32" {},
                _ => {
                    path d="M17.5 19a6.5 6.5 0 1 1 9.6 5.7c-2 1.1-3.1 2.3-3.1 4.6" {}
                    path d="M24 35.2v.3" {}
                },
            }
        }
    }
}

fn levels(knee: &Knee) -> Markup {
    html! {
        div.scroll { table.stacked {
            thead { tr {
                th.sign {}
                @for name in &COLUMNS[..5] { th.number { (name) } }
                th {}
            } }
            tbody { @for level in by_rate(knee) { (row(level)) } }
        } }
    }
}

fn row(level: &Level) -> Markup {
    let class = match level.outcome {
        Outcome::Sustained => "held",
        Outcome::Broken => "violated",
        Outcome::GeneratorLimited | Outcome::Unknown => "unknown",
    };
    let cells = level.cells();
    html! {
        tr class=(class) {
            td.sign { (level.outcome.sign()) }
            @for (name, cell) in COLUMNS.iter().zip(&cells[..5]) {
                td.number data-label=(name) { (cell) }
            }
            td {
                @match &level.folder {
                    Some(folder) => a href={ (folder) "/report.html" } { (level.word()) },
                    None => (level.word()),
                }
                @for why in &level.why { p.claim { (why) } }
            }
        }
    }
}

/// Which process kept how many processors busy, level by level.
fn processors(knee: &Knee) -> Markup {
    let processes = knee.processes();
    let busy = |level: &Level, process: &str| {
        let found = level.cpu.iter().find(|(name, _)| name == process);
        found.map_or_else(|| "–".to_owned(), |(_, busy)| format!("{busy:.2}"))
    };
    html! {
        @if !processes.is_empty() {
            section {
                h2 { "Processors" }
                div.scroll { table {
                    thead { tr {
                        th.number { (COLUMNS[0]) }
                        @for process in &processes { th.number { (process) } }
                    } }
                    tbody { @for level in by_rate(knee) { tr {
                        td.number { (level.cells()[0]) }
                        @for process in &processes { td.number { (busy(level, process)) } }
                    } } }
                } }
                p.note {
                    "Processors that each process kept busy during the load. The machine is all that ran \
                     there, other work included."
                }
            }
        }
    }
}
