//! `comparison.html`: two sets of runs on one page, in the style of a run's report.

use super::chart::distribution::{Curve, distribution};
use super::chart::overlay::overlay;
use super::shell;
use crate::compare::{Comparison, Outcome, Side};
use crate::measure::latency::Split;
use crate::measured::Measured;
use crate::number;
use crate::past_run::PastRun;
use maud::{Markup, html};

/// The page of a comparison.
pub(crate) fn page(compared: &Comparison, a: &[PastRun], b: &[PastRun]) -> String {
    let word = compared.outcome().word();
    let tone = match compared.outcome() {
        Outcome::Worse => "bad",
        Outcome::Same | Outcome::Better => "good",
        Outcome::NotClear => "doubt",
    };
    let measured =
        |runs: &'_ [PastRun]| runs.iter().map(|run| run.file.measured.clone()).collect::<Vec<_>>();
    let (measured_a, measured_b) = (measured(a), measured(b));
    let body = html! {
        header {
            p.eyebrow { span { "Fracas" } span { "comparison" } span { "version " (compared.version) } }
            h1 { (title(compared)) }
            div.verdict {
                (sign(compared.outcome()))
                div { p.word { (word) } p.agreement { "B against A" } }
                p.sentence { (compared.tally()) "." }
            }
            dl.run { (side("A", "a", &compared.a)) (side("B", "b", &compared.b)) }
        }
        (differences(compared))
        (demands(compared))
        (figures(compared))
        section {
            h2 { "Latency" }
            figure.scroll { (curves("Until accepted, by percentile", a, b, |run| &run.latencies.accept)) }
            figure.scroll {
                (curves("Until shown elsewhere, by percentile", a, b, |run| &run.latencies.deliver))
            }
            p.note { "All runs of a side together." }
        }
        section {
            h2 { "Over time" }
            figure.scroll {
                (overlay(&measured_a.iter().collect::<Vec<&Measured>>(),
                    &measured_b.iter().collect::<Vec<&Measured>>()))
            }
            p.note {
                "From the beginning of the load. Lines: the median of the runs of a side; areas: its \
                 lowest and its highest run."
            }
        }
        (runs(a, b))
    };
    shell(tone, &format!("{}: {word}", title(compared)), &compared.version, &body)
}

fn title(compared: &Comparison) -> String {
    let (a, b) = (&compared.a.scenario, &compared.b.scenario);
    if a == b { a.clone() } else { format!("{a} and {b}") }
}

fn sign(outcome: Outcome) -> Markup {
    html! {
        svg.sign viewBox="0 0 48 48" aria-hidden="true" {
            circle cx="24" cy="24" r="24" {}
            @match outcome {
                Outcome::Better => path d="M13.5 25l7 7.5L34.5 17" {},
                Outcome::Worse => path d="M16 16l16 16M32 16L16 32" {},
                Outcome::Same => path d="M14 19.5h20M14 28.5h20" {},
                Outcome::NotClear => {
                    path d="M17.5 19a6.5 6.5 0 1 1 9.6 5.7c-2 1.1-3.1 2.3-3.1 4.6" {}
                    path d="M24 35.2v.3" {}
                },
            }
        }
    }
}

fn side(name: &str, class: &str, side: &Side) -> Markup {
    let runs = number::counted(side.folders.len() as u64, "runs", number::NARROW);
    html! {
        dt { span.swatch.(class) {} (name) }
        dd { (side.scenario) ", " (runs) ", seeds " (side.seeds) }
    }
}

fn differences(compared: &Comparison) -> Markup {
    html! {
        @if !compared.differences.is_empty() {
            section.doubts {
                h2 { "What else differs" }
                ul { @for one in &compared.differences { li { (one) } } }
            }
        }
    }
}

fn demands(compared: &Comparison) -> Markup {
    html! {
        @if !compared.gates.is_empty() {
            section {
                h2 { "Demands" }
                div.scroll { table.stacked {
                    thead { tr { th.sign {} th { "fails if" } th { "change" } } }
                    tbody {
                        @for gate in &compared.gates {
                            @let (class, sign) = match gate.failed {
                                Some(false) => ("held", "✓"),
                                Some(true) => ("violated", "✗"),
                                None => ("unknown", "?"),
                            };
                            tr class=(class) {
                                td.sign { (sign) }
                                td { code { (gate.fail_if) } }
                                td data-label="change" { (gate.got) }
                            }
                        }
                    }
                } }
            }
        }
    }
}

fn figures(compared: &Comparison) -> Markup {
    html! {
        section {
            h2 { "Figures" }
            div.scroll { table.stacked {
                thead { tr {
                    th.sign {} th { "figure" } th.number { "A" } th.number { "B" }
                    th.number { "change" } th.number { "interval" } th {}
                } }
                tbody {
                    @for one in &compared.metrics {
                        @let class = match one.outcome {
                            Outcome::Better => "held",
                            Outcome::Worse => "violated",
                            Outcome::NotClear => "unsure",
                            Outcome::Same => "idle",
                        };
                        tr class=(class) {
                            td.sign { (one.outcome.sign()) }
                            td {
                                code { (one.metric) }
                                @if let Some(why) = &one.why { p.claim { (why) } }
                            }
                            td.number data-label="A" { (one.a_words()) }
                            td.number data-label="B" { (one.b_words()) }
                            td.number data-label="change" { (one.ratio_words()) }
                            td.number data-label="interval" { (one.interval_words()) }
                            td { (one.outcome.word()) }
                        }
                    }
                }
            } }
            p.note { (compared.legend()) }
        }
    }
}

fn curves(title: &str, a: &[PastRun], b: &[PastRun], of: fn(&PastRun) -> &Split) -> Markup {
    let merged = [a, b].map(|runs| {
        let mut all = Split::new();
        for run in runs {
            all.add(of(run));
        }
        let all = all.all();
        (all.len(), all.curve())
    });
    let [(count_a, points_a), (count_b, points_b)] = &merged;
    let curve = |name, class, count: &u64, points| Curve { name, class, count: *count, points };
    distribution(title, &[curve("A", "a", count_a, points_a), curve("B", "b", count_b, points_b)])
}

fn runs(a: &[PastRun], b: &[PastRun]) -> Markup {
    html! {
        section {
            h2 { "Runs" }
            div.scroll { table.stacked {
                thead { tr {
                    th {} th { "folder" } th.number { "seed" } th.number { "accept p50" }
                    th.number { "accept p99" } th.number { "deliver p50" } th.number { "deliver p99" }
                    th.number { "throughput" }
                } }
                tbody {
                    @for (side, runs) in [("A", a), ("B", b)] { @for run in runs { (row(side, run)) } }
                }
            } }
        }
    }
}

fn row(side: &str, run: &PastRun) -> Markup {
    let measured = &run.file.measured;
    let (accept, deliver) = (&measured.accept.all, &measured.deliver.all);
    let rate = measured.throughput().map(|rate| format!("{}/s", number::three_digits(rate)));
    html! {
        tr {
            td { (side) }
            td { code { (run.folder.display()) } }
            td.number data-label="seed" { (run.file.seed) }
            @for (name, us) in [
                ("accept p50", accept.p50_us), ("accept p99", accept.p99_us),
                ("deliver p50", deliver.p50_us), ("deliver p99", deliver.p99_us),
            ] { td.number data-label=(name) { (number::latency_or_dash(us)) } }
            td.number data-label="throughput" { (rate.unwrap_or_else(|| "–".to_owned())) }
        }
    }
}
