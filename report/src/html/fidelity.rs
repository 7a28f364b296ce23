//! `fidelity.html`: simulated and real runs of each scenario side by side.

use super::chart::distribution::{Curve, distribution};
use super::shell;
use crate::fidelity::{Agreement, Fidelity, Pair, Side, told};
use crate::text::fidelity::{NOTE, cells, names};
use maud::{Markup, html};

/// The page.
pub(crate) fn page(fidelity: &Fidelity) -> String {
    let tone = match fidelity.status() {
        0 => "good",
        1 => "bad",
        _ => "doubt",
    };
    let body = html! {
        header {
            p.eyebrow { span { "Fracas" } span { "fidelity" } span { "version " (fidelity.version) } }
            h1 { (fidelity.headline()) }
        }
        section {
            h2 { "Simulated and real" }
            div.scroll { table.stacked {
                thead { tr {
                    th.sign {} th { "scenario" } th { "runs" }
                    @for (number, name) in names().into_iter().enumerate() {
                        th.number[number > 0] { (name) }
                    }
                    th { "reports" }
                } }
                tbody { @for pair in &fidelity.pairs { (rows(pair)) } }
            } }
            p.note { (NOTE) }
            @if !fidelity.alone.is_empty() {
                ul { @for alone in &fidelity.alone { li { (alone) } } }
            }
        }
        @for pair in &fidelity.pairs { (one(pair)) }
    };
    shell(tone, "Fidelity", &fidelity.version, &body)
}

const fn class(agreement: Agreement) -> &'static str {
    match agreement {
        Agreement::Nothing | Agreement::Same => "held",
        Agreement::Unknown => "unknown",
        Agreement::Differs => "violated",
    }
}

fn rows(pair: &Pair) -> Markup {
    let (agreement, cells) = (pair.agreement(), cells(pair));
    html! {
        @for (number, (world, side)) in pair.sides().into_iter().enumerate() {
            tr class=(class(agreement)) {
                td.sign { @if number == 0 { (agreement.sign()) } }
                td { @if number == 0 { code { (pair.scenario) } } }
                td { (world) }
                @for (at, (name, cell)) in names().into_iter().zip(&cells).enumerate() {
                    td.number[at > 0] data-label=(name) { (cell[number]) }
                }
                td data-label="reports" { (links(side)) }
            }
        }
    }
}

fn links(side: &Side) -> Markup {
    html! {
        @for (folder, file) in &side.runs {
            a href={ (folder) "/report.html" } { (file.seed) }
            " "
        }
    }
}

/// A scenario: its curves, its faults, and why the worlds may differ.
fn one(pair: &Pair) -> Markup {
    let (faults, reasons) = (pair.faults(), pair.reasons());
    html! {
        section {
            h2 { (pair.scenario) }
            figure.scroll { (curves(pair)) }
            @if !faults.is_empty() {
                div.scroll { table.stacked {
                    thead { tr {
                        th { "fault" } th.number { "back within, simulated" } th.number { "real" }
                    } }
                    tbody { @for (kind, simulated, real) in faults { tr {
                        td { code { (kind) } }
                        td.number data-label="simulated" { (told(Some(simulated))) }
                        td.number data-label="real" { (told(Some(real))) }
                    } } }
                } }
            }
            @if !reasons.is_empty() { ul { @for reason in reasons { li { (reason) } } } }
        }
    }
}

/// The time until accepted, of the first run of each world.
fn curves(pair: &Pair) -> Markup {
    let curve = |name, class, side: &'_ Side| {
        side.runs.first().map(|(_, file)| (name, class, file.measured.accept.clone()))
    };
    let both = [curve("simulated", "a", &pair.simulated), curve("real", "b", &pair.real)];
    let both: Vec<_> = both.into_iter().flatten().collect();
    let curves: Vec<Curve> =
        both.iter().map(|(name, class, latency)| Curve::of(name, class, latency)).collect();
    distribution("Until accepted, by percentile, of the first run each", &curves)
}
