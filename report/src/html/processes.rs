//! What the processes of a real run used: a row for each, with its processor time, its memory, its open
//! files and its data over the run.

use super::chart::spark::spark;
use crate::measured::{Look, Used};
use crate::number;
use crate::run::Run;
use maud::{Markup, html};
use verify::history::event::MACHINE;

/// Two looks that lie farther apart than this have a time between them in which there was no process.
const GAP_US: u64 = 2_500_000;

/// CPU time comes in ticks of 10 ms: over less than this it is no share of a processor.
const SHORT_US: u64 = 500_000;

/// A moment and a value, or the lack of one.
type Value = Option<(u64, f64)>;

pub(super) fn processes(run: &Run) -> Markup {
    let (measured, all) = (run.measured, &run.measured.processes);
    let highest_of = |used: &Used, values: fn(&[Look]) -> Vec<Value>| -> f64 {
        values(&used.looks).into_iter().flatten().map(|(_, value)| value).fold(0.0, f64::max)
    };
    // Beside the whole machine everything else would be flat.
    let nodes = || all.iter().filter(|used| *used.process != *MACHINE);
    let highest = |values: fn(&[Look]) -> Vec<Value>| -> f64 {
        nodes().map(|used| highest_of(used, values)).fold(0.0, f64::max)
    };
    let (cpu_max, memory_max) = (highest(busy), highest(memory));
    let (files_max, data_max) = (highest(open_files), highest(data));
    let draw = |used: &Used, values: fn(&[Look]) -> Vec<Value>, highest: f64, class: &str| {
        let is_machine = *used.process == *MACHINE;
        let highest = if is_machine { highest_of(used, values) } else { highest };
        spark(&values(&used.looks), (measured.ended_us, highest), &measured.faults, class)
    };
    html! {
        @if !all.is_empty() {
            section {
                h2 { "Processes" }
                div.scroll { table.stacked.processes {
                    thead { tr {
                        th { "process" }
                        th { "processors, up to " (number::three_digits(cpu_max)) }
                        th { "memory, up to " (number::bytes(memory_max as u64)) }
                        th { "open files, up to " (number::count(files_max as u64)) }
                        th { "data, up to " (number::bytes(data_max as u64)) }
                        th.number { "CPU" } th.number { "memory" } th.number { "open files" }
                        th.number { "data" }
                    } }
                    tbody { @for used in all {
                        tr {
                            td { (used.process) }
                            td.drawn data-label="processors" { (draw(used, busy, cpu_max, "accept")) }
                            td.drawn data-label="memory" { (draw(used, memory, memory_max, "deliver")) }
                            td.drawn data-label="open files" { (draw(used, open_files, files_max, "connected")) }
                            td.drawn data-label="data" {
                                @if used.disk_bytes.is_some() { (draw(used, data, data_max, "sent")) }
                            }
                            (figures(used))
                        }
                    } }
                } }
                p.note {
                    "CPU, user and system, is that of all lives of a process; up to a second before a kill \
                     is not seen. Memory (resident) and open files at their highest, data as it was last. \
                     The generator judges, too. The machine: all that ran on it, other work included, with a scale of its own. \
                     Shaded: fault episodes."
                }
            }
        }
    }
}

fn figures(used: &Used) -> Markup {
    html! {
        td.number data-label="CPU" { (number::span(used.cpu_us)) }
        td.number data-label="memory" { (number::bytes(used.memory_bytes_max)) }
        td.number data-label="open files" { (number::count(used.open_files_max)) }
        td.number data-label="data" {
            (used.disk_bytes.map_or_else(|| "–".to_owned(), number::bytes))
        }
    }
}

/// Between two looks: at the later one, how many processors were busy.
fn busy(looks: &[Look]) -> Vec<Value> {
    let Some(mut before) = looks.first() else { return Vec::new() };
    let mut values = Vec::new();
    for look in &looks[1..] {
        let us = look.at_us - before.at_us;
        if us < SHORT_US {
            continue;
        }
        let cpu_us = look.cpu_us.saturating_sub(before.cpu_us);
        values.push((us <= GAP_US).then(|| (look.at_us, cpu_us as f64 / us as f64)));
        before = look;
    }
    values
}

fn memory(looks: &[Look]) -> Vec<Value> {
    levels(looks, |look| Some(look.memory_bytes))
}

fn open_files(looks: &[Look]) -> Vec<Value> {
    levels(looks, |look| Some(look.open_files))
}

fn data(looks: &[Look]) -> Vec<Value> {
    levels(looks, |look| look.disk_bytes)
}

/// What each look saw; one that did not look for it says nothing.
fn levels(looks: &[Look], of: fn(&Look) -> Option<u64>) -> Vec<Value> {
    let value = |look: &Look| Some(Some((look.at_us, of(look)? as f64)));
    let gap = |pair: &[Look]| pair[1].at_us - pair[0].at_us > GAP_US;
    let mut values: Vec<Value> = looks.first().and_then(value).into_iter().collect();
    for pair in looks.windows(2) {
        values.extend(gap(pair).then_some(None));
        values.extend(value(&pair[1]));
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_was_down_for_a_while_has_a_gap() {
        let look = |at_s: u64, cpu_ms: u64| Look {
            at_us: at_s * 1_000_000,
            cpu_us: cpu_ms * 1_000,
            memory_bytes: 7,
            open_files: 3,
            disk_bytes: (at_s == 9).then_some(5),
            disk_wait_us: None,
            disk_stalled_us: None,
        };
        let again = Look { at_us: 10_000_100, ..look(10, 2_110) };
        let looks = [look(1, 0), look(2, 500), look(9, 600), look(10, 2_100), again];
        let expected = [Some((2_000_000, 0.5)), None, Some((10_000_000, 1.5))];
        assert_eq!(busy(&looks), expected, "the last look came too soon");
        let at = |value: &Value| value.map(|(at_us, _)| at_us / 1_000_000);
        let moments: Vec<_> = memory(&looks).iter().map(at).collect();
        assert_eq!(moments, [Some(1), Some(2), None, Some(9), Some(10), Some(10)]);
        assert_eq!(data(&looks), [None, Some((9_000_000, 5.0))]);
        assert_eq!((busy(&[]), memory(&[])), (vec![], vec![]));
    }
}
