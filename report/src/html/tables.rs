//! The tables of the page.

use crate::claim;
use crate::doubts;
use crate::measured::{Band, Latency, Measured, Percentiles};
use crate::number;
use crate::run::{Run, Status};
use crate::text::effect::effect;
use crate::text::notes::{STEADY, behind_warm_up, recovered};
use crate::text::totals::totals;
use maud::{Markup, html};
use verify::history::event::Engine;
use verify::verdict::{Finding, Verdict};

/// Fault episodes in the table; the chart draws all.
const FAULTS_MAX: usize = 200;
/// So many rows are shown at once; more are folded away.
const ROWS_OPEN: usize = 12;

pub(super) fn doubts(run: &Run) -> Markup {
    html! {
        @if !run.judgement.doubts.is_empty() {
            section.doubts {
                h2 {
                    @if run.judgement.verdict == Verdict::Unknown { "Reasons for the unknown verdict" }
                    @else { "What could not be judged" }
                }
                ul { @for doubt in doubts::folded(&run.judgement.doubts) { li { (doubt) } } }
            }
        }
    }
}

pub(super) fn notes(run: &Run) -> Markup {
    html! {
        @if !run.notes.is_empty() {
            section {
                h2 { "Notes" }
                ul { @for note in run.notes { li { (note) } } }
            }
        }
    }
}

pub(super) fn expectations(run: &Run) -> Markup {
    html! {
        section {
            h2 { "Expectations" }
            div.scroll { table.stacked {
                thead { tr { th.sign {} th { "what" } th { "wanted" } th { "got" } } }
                tbody {
                    @for expectation in run.expectations {
                        @let (class, sign) = match expectation.met {
                            Some(true) => ("held", "✓"),
                            Some(false) => ("violated", "✗"),
                            None => ("unknown", "?"),
                        };
                        tr class=(class) {
                            td.sign { (sign) }
                            td { code { (expectation.what) } }
                            td data-label="wanted" { (expectation.wanted) }
                            td data-label="got" { (expectation.got) }
                        }
                    }
                }
            } }
        }
    }
}

pub(super) fn invariants(run: &Run) -> Markup {
    html! {
        section {
            h2 { "Invariants" }
            @if run.judgement.findings.is_empty() {
                p.note { "No invariant was judged." }
            } @else {
                div.scroll { table.invariants.stacked {
                    thead { tr {
                        th.sign {} th { "invariant" } th.number { "judged" } th.unit {}
                        th.number { "violations" }
                    } }
                    tbody { @for found in &run.judgement.findings { (invariant(run, found)) } }
                } }
            }
        }
    }
}

fn invariant(run: &Run, found: &Finding) -> Markup {
    let status = run.status(found);
    html! {
        tr class=(class(status)) {
            td.sign title=(status.word()) { (status.sign()) }
            td {
                @if found.evidence.is_empty() { code { (found.invariant) } } @else {
                    a href={ "#" (found.invariant) } { code { (found.invariant) } }
                }
                @if let Some(claim) = claim::of(&found.invariant) { p.claim { (claim) } }
                @if matches!(status, Status::Idle | Status::Unknown) {
                    p.claim.why {
                        @if status == Status::Unknown && found.judged == 0 { "nothing was judged" }
                        @else { (status.word()) }
                    }
                }
            }
            td.number data-label="judged" { (number::count(found.judged)) }
            td.unit { (found.unit) }
            td.number.violations data-label="violations" {
                @if found.violations == 0 { "–" } @else { (number::count(found.violations)) }
            }
        }
    }
}

const fn class(status: Status) -> &'static str {
    match status {
        Status::Held => "held",
        Status::Violated => "violated",
        Status::ViolatedAsWanted => "caught-as-expected",
        Status::Idle => "idle",
        Status::Unknown => "unknown",
    }
}

pub(super) fn latency(run: &Run) -> Markup {
    let measured = run.measured;
    html! {
        div.scroll { table.latency {
            thead { tr {
                th {} @for name in ["p50", "p90", "p99", "p99.9", "max", "count"] {
                    th.number { (name) }
                }
            } }
            tbody {
                (latency_rows("until accepted", "accept", &measured.accept, measured))
                (latency_rows("until shown elsewhere", "deliver", &measured.deliver, measured))
                (percentiles("generator's lateness", "late", &measured.lateness))
            }
        } }
    }
}

fn latency_rows(name: &str, class: &str, latency: &Latency, measured: &Measured) -> Markup {
    let Latency { all, calm, under_fault, operations, .. } = latency;
    let operations = operations.named().into_iter().filter(|(_, measured)| measured.count > 0);
    let operations: Vec<_> = operations.collect();
    html! {
        (percentiles(name, class, all))
        @if let Some(steady) = behind_warm_up(measured, latency) {
            (percentiles(STEADY, "part", steady))
        }
        @if under_fault.count > 0 {
            (percentiles("calm", "part", calm))
            (percentiles("under faults", "part", under_fault))
        }
        // Of a single kind they are those of all.
        @if operations.len() > 1 {
            @for (name, measured) in operations { (percentiles(name, "part", measured)) }
        }
    }
}

fn percentiles(name: &str, class: &str, percentiles: &Percentiles) -> Markup {
    let Percentiles { count, p50_us, p90_us, p99_us, p999_us, max_us, .. } = *percentiles;
    html! {
        tr class=(class) {
            th scope="row" { (name) }
            @for value in [p50_us, p90_us, p99_us, p999_us, max_us] {
                td.number { (number::latency_or_dash(value)) }
            }
            td.number.soft { (number::count(count)) }
        }
    }
}

pub(super) fn faults(run: &Run) -> Markup {
    let bands = &run.measured.faults;
    let table = html! {
        div.scroll { table.stacked {
            thead { tr {
                th { "fault" } th { "target" } th.number { "from" } th.number { "to" }
                th.number { "effect" } th.number { "back within" }
            } }
            tbody { @for band in bands.iter().take(FAULTS_MAX) { (fault(band, run.header.engine)) } }
        } }
        @if bands.len() > FAULTS_MAX {
            p.note { "and " (number::count((bands.len() - FAULTS_MAX) as u64)) " more" }
        }
    };
    html! {
        @if !bands.is_empty() {
            section {
                h2 { "Faults" }
                @if bands.len() > ROWS_OPEN {
                    details {
                        summary { (number::count(bands.len() as u64)) " episodes" }
                        (table)
                    }
                } @else { (table) }
            }
        }
    }
}

fn fault(band: &Band, engine: Engine) -> Markup {
    html! {
        tr {
            td { code { (band.kind) } }
            td { (band.target) }
            td.number data-label="from" { (number::moment(band.from_us)) }
            td.number data-label="to" {
                @match band.to_us {
                    Some(to) => (number::moment(to)),
                    None => "not ended",
                }
            }
            td.number data-label="effect" { (effect(band, engine).unwrap_or_else(|| "–".to_owned())) }
            td.number data-label="back within" { (recovered(band.recovery)) }
        }
    }
}

pub(super) fn counts(run: &Run) -> Markup {
    html! {
        section {
            h2 { "Counts" }
            dl.counts {
                @for (name, value) in totals(run.measured) {
                    div { dt { (name) } dd { (number::count(value)) } }
                }
            }
        }
    }
}

pub(super) fn environment(run: &Run) -> Markup {
    let (header, cluster) = (run.header, &run.scenario.cluster);
    let span = |duration| number::span(number::micros(duration));
    let nodes = format!(
        "{}, {}, {}",
        number::counted(cluster.gateways.into(), "gateways", number::NARROW),
        number::counted(cluster.brokers.into(), "brokers", number::NARROW),
        number::counted(cluster.stores.into(), "stores", number::NARROW),
    );
    let users = format!(
        "{} with {} each",
        number::counted(header.users.into(), "users", number::NARROW),
        number::counted(header.devices_per_user.into(), "devices", number::NARROW),
    );
    let took = match run.speed() {
        Some(speed) => format!(
            "{} for {} of simulated time; {} of CPU, {speed:.1} simulated s per CPU s",
            span(run.took.wall),
            span(run.took.simulated),
            span(run.took.cpu)
        ),
        None => format!("{}; {} of CPU", span(run.took.wall), span(run.took.cpu)),
    };
    let rows = [
        ("engine", run.engine().to_owned()),
        ("seed", header.seed.to_string()),
        ("cluster", nodes),
        ("partitions", number::count(header.partitions.into())),
        ("users", users),
        ("conversations", number::count(header.conversations.into())),
        ("ended", run.took.ended_at_ms.map_or_else(|| "–".to_owned(), number::date)),
        ("took", took),
        ("machine", run.machine.words(number::NARROW)),
        ("version", format!("Fracas {}", run.version)),
        ("history", run.history_file.to_owned()),
    ];
    html! {
        dl.environment { @for (name, value) in rows { dt { (name) } dd { (value) } } }
    }
}
