//! The few figures that most readers look for, and the numbers behind the chart.

use super::chart::bins::{Bin, Bins};
use crate::measured::Recovery;
use crate::number;
use crate::run::Run;
use crate::text::notes::within;
use maud::{Markup, html};
use serde_json::{Value, json};

pub(super) fn figures(run: &Run) -> Markup {
    let (totals, measured) = (&run.measured.totals, run.measured);
    let us = number::latency_or_dash;
    let sent = match totals.rejected_in_all() {
        0 => format!("of {} sent", number::count(totals.sent())),
        some => {
            format!("of {} sent; {} refused", number::count(totals.sent()), number::count(some))
        }
    };
    let figures = [
        ("accepted", number::count(totals.accepted), sent),
        ("delivered", number::count(totals.delivered), "to other devices".to_owned()),
        ("accept p99", us(measured.accept.all.p99_us), median(measured.accept.all.p50_us)),
        ("deliver p99", us(measured.deliver.all.p99_us), median(measured.deliver.all.p50_us)),
        ("faults", number::count(totals.faults), beside_faults(run)),
        (
            "violations",
            number::count(run.violations()),
            number::counted(judged(run), "judgements", number::NARROW),
        ),
    ];
    html! {
        dl.figures {
            @for (name, value, beside) in figures {
                div { dt { (name) } dd.value { (value) } dd.beside { (beside) } }
            }
        }
    }
}

fn median(p50_us: Option<u64>) -> String {
    p50_us
        .map_or_else(|| "nothing measured".to_owned(), |us| format!("p50 {}", number::latency(us)))
}

fn judged(run: &Run) -> u64 {
    run.judgement.findings.iter().map(|found| found.judged).sum()
}

fn beside_faults(run: &Run) -> String {
    match run.measured.recovery() {
        Recovery::Unknown => kinds(run),
        Recovery::After(us) => format!("{}; latency back within {}", kinds(run), within(us)),
        Recovery::Never => format!("{}; latency was not back", kinds(run)),
    }
}

fn kinds(run: &Run) -> String {
    let mut kinds: Vec<&str> = run.measured.faults.iter().map(|band| &*band.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    match kinds.len() {
        0 => "none in this run".to_owned(),
        1 | 2 => kinds.join(", ").replace('_', " "),
        more => format!("of {more} kinds"),
    }
}

/// The bins for the script's cursor: numbers only, columns in a fixed order.
pub(super) fn data(bins: &Bins) -> String {
    let tenth = |value: f64| (value * 10.0).round() / 10.0;
    let hundredth = |value: f64| (value * 100.0).round() / 100.0;
    let row = |bin: &Bin| -> Value {
        json!([
            hundredth(bin.middle_s()),
            tenth(bin.sent),
            tenth(bin.accepted),
            tenth(bin.delivered),
            bin.accept_p50_us,
            bin.accept_p99_us,
            bin.deliver_p50_us,
            bin.deliver_p99_us,
            bin.connected,
            tenth(bin.rejected),
            tenth(bin.resent),
            tenth(bin.closed),
        ])
    };
    Value::Array(bins.rows.iter().map(row).collect()).to_string()
}
