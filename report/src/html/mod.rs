//! `report.html`: the run on one page that needs nothing else, on a screen and on paper.
//!
//! All text goes through maud, which escapes it. The page loads nothing: its policy forbids it.
//! Without scripts everything can be read; the script adds a cursor on the chart and copying.

mod chart;
pub(crate) mod comparison;
mod evidence;
pub(crate) mod fidelity;
mod figures;
mod head;
pub(crate) mod knee;
mod levels;
mod processes;
mod requests;
mod space_time;
pub(crate) mod sweep;
mod tables;

use crate::measured::Measured;
use crate::run::Run;
use crate::text::notes::{latency_notes, recovery};
use chart::bins::Bins;
use chart::distribution::{Curve, distribution};
use chart::timeline::timeline;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use verify::verdict::Verdict;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
/// The page may run its own script and styles and load nothing from anywhere.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";

/// The page of a run.
pub(crate) fn page(run: &Run) -> String {
    let bins = Bins::of(&run.measured.seconds, run.measured.ended_us);
    let title = format!("{}: {}", run.header.scenario, run.outcome_word());
    let body = html! {
        (head::head(run))
        (evidence::leading(run))
        (figures::figures(run))
        (tables::doubts(run))
        (tables::notes(run))
        (tables::expectations(run))
        (tables::invariants(run))
        (over_time(run, &bins))
        (latency(run))
        (evidence::violations(run))
        (requests::requests(run))
        (tables::faults(run))
        (processes::processes(run))
        (levels::levels(run))
        (tables::counts(run))
        (scenario(run))
        (foot(run))
    };
    let tone = match run.judgement.verdict {
        Verdict::Violated if run.violates_as_wanted() && !run.failed() => "good caught",
        Verdict::Valid => "good",
        Verdict::Violated => "bad",
        Verdict::Unknown => "doubt",
    };
    shell(tone, &title, run.version, &body)
}

/// A whole page; `tone` is the class that colours its verdict.
fn shell(tone: &str, title: &str, version: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" class=(tone) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="generator" content={ "fracas " (version) };
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main { (body) }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

fn over_time(run: &Run, bins: &Bins) -> Markup {
    let findings = &run.judgement.findings;
    let violated_at: Vec<u64> =
        findings.iter().flat_map(|found| &found.evidence).map(|shown| shown.at).collect();
    html! {
        section {
            h2 { "Over time" }
            figure.scroll data-bins=(figures::data(bins)) {
                (timeline(run.measured, bins, &violated_at))
                div.tip hidden {}
            }
            p.note {
                "Each step and each point is "
                @if bins.seconds == 1 { "one second" } @else {
                    (bins.seconds) " seconds: rates are their average, latencies their highest"
                }
                ", at the time of the answer. Where a line stops, nothing was answered. "
                @if !run.measured.faults.is_empty() { "Shaded: fault episodes. " }
                @if !violated_at.is_empty() { "Triangles: violations with evidence below. " }
            }
        }
    }
}

fn latency(run: &Run) -> Markup {
    let Measured { accept, deliver, .. } = run.measured;
    let curves = [
        Curve::of("until accepted", "accept", accept),
        Curve::of("until shown elsewhere", "deliver", deliver),
    ];
    html! {
        section {
            h2 { "Latency" }
            (tables::latency(run))
            figure.scroll { (distribution("Latency by percentile", &curves)) }
            @for note in recovery(run.measured).into_iter().chain(latency_notes(run.measured)) { p.note { (note) } }
        }
    }
}

fn scenario(run: &Run) -> Markup {
    html! {
        section {
            h2 { "Scenario" }
            @if !run.scenario.tries.is_empty() {
                p { "To try next, and what it brings:" }
                ul.plain {
                    @for one in &run.scenario.tries {
                        li { code { (one.options()) } " " b { (one.prediction()) } ". " (one.because) }
                    }
                }
            }
            details {
                summary { "The scenario as it took effect" }
                pre { (run.scenario_toml) }
            }
        }
    }
}

fn foot(run: &Run) -> Markup {
    html! {
        section {
            h2 { "This run" }
            (tables::environment(run))
        }
    }
}

#[cfg(test)]
mod tests;
