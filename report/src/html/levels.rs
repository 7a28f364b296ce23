//! The levels of queues and resources that have limits: how near each came to its own, and when.

use super::chart::spark::spark;
use crate::measured::{Level, Peaks, SECOND_US};
use crate::number;
use crate::run::Run;
use maud::{Markup, html};

/// So many levels are shown at once; the others are folded away.
const OPEN: usize = 10;

pub(super) fn levels(run: &Run) -> Markup {
    let mut levels: Vec<&Level> = run.measured.levels.iter().collect();
    let reached = |level: &Level| level.highest as f64 / level.limit.max(1) as f64;
    levels.sort_by(|a, b| reached(b).total_cmp(&reached(a)));
    let over_time = levels.iter().any(|level| level.over_time.is_some());
    let (open, folded) = levels.split_at(levels.len().min(OPEN));
    html! {
        @if !levels.is_empty() {
            section {
                h2 { "Queues and other limits" }
                (table(run, open, over_time))
                @if !folded.is_empty() {
                    details {
                        summary { (number::counted(folded.len() as u64, "more levels", number::NARROW)) }
                        (table(run, folded, over_time))
                    }
                }
                p.note {
                    "The highest levels, those nearest to their limits first."
                    @if over_time { " Each chart is as high as the highest level in it. Shaded: fault episodes." }
                }
            }
        }
    }
}

fn table(run: &Run, levels: &[&Level], over_time: bool) -> Markup {
    html! {
        div.scroll { table.stacked.processes {
            thead { tr {
                th { "node" } th { "level" }
                @if over_time { th { "over time" } }
                th.number { "highest" } th.number { "limit" } th.number { "share" }
            } }
            tbody { @for level in levels { (row(run, level, over_time)) } }
        } }
    }
}

fn row(run: &Run, level: &Level, over_time: bool) -> Markup {
    let (measured, highest) = (run.measured, level.highest as f64);
    html! {
        tr class=[(level.highest > level.limit).then_some("violated")] {
            td { (level.node) }
            td { code { (level.name) } }
            @if over_time {
                td.drawn data-label="over time" { @if let Some(peaks) = &level.over_time {
                    (spark(&values(peaks), (measured.ended_us, highest), &measured.faults, "sent"))
                } }
            }
            td.number data-label="highest" { (number::count(level.highest)) }
            td.number data-label="limit" { (number::count(level.limit)) }
            td.number data-label="share" { (share(level.highest, level.limit)) }
        }
    }
}

/// In the middle of the time that each stands for.
fn values(peaks: &Peaks) -> Vec<Option<(u64, f64)>> {
    let length_us = u64::from(peaks.seconds) * SECOND_US;
    let middle = |number: u64| number * length_us + length_us / 2;
    let moments = (0..).map(middle).zip(&peaks.highest);
    moments.map(|(at_us, peak)| peak.map(|peak| (at_us, peak as f64))).collect()
}

fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "–".to_owned();
    }
    format!("{:.1} %", part as f64 / whole as f64 * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Stage;
    use verify::verdict::Verdict;

    #[test]
    fn what_came_nearest_to_its_limit_is_first() {
        let mut stage = Stage::of(Verdict::Valid);
        let level = |name: &str, highest, limit| Level {
            node: "broker-1".into(),
            name: name.into(),
            highest,
            limit,
            over_time: Some(Peaks { seconds: 1, highest: vec![Some(highest), None, Some(1)] }),
        };
        stage.measured.levels = vec![level("far", 10, 1_000), level("near", 900, 1_000)];
        let page = levels(&stage.run()).into_string();
        let at = |name: &str| page.find(name).expect("it is there");
        assert!(at("near") < at("far") && page.contains("90.0 %"), "{page}");
        assert_eq!(page.matches("<svg").count(), 2);
        assert!(levels(&Stage::of(Verdict::Valid).run()).into_string().is_empty());
    }
}
