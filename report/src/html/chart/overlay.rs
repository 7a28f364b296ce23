//! Two sets of runs over time, one over the other: the median of the runs of a side as a line, and the
//! lowest and highest of them as an area around it.

use super::bins::{Bin, Bins};
use super::line::{Point, between, line, tenth};
use super::panel::{Frame, HEAD, grid, head, nothing};
use super::scale::{Scale, Tick, count_axis, latency_axis};
use super::timeline::{AXIS, LEFT, RIGHT, WIDTH, axis};
use crate::measured::{Measured, Second};
use maud::{Markup, html};
use verify::history::event::Phase;

const SECOND_US: u64 = 1_000_000;
/// Both sides, and the classes of their lines.
const LEGEND: [(&str, &str); 2] = [("A", "a"), ("B", "b")];

/// A value of a bin, if it has one.
type Value = fn(&Bin) -> Option<f64>;

/// Panels with a height each, and whether they show latencies.
const PANELS: [(&str, f64, bool, Value); 4] = [
    ("Accepted per second", 96.0, false, |bin| Some(bin.accepted)),
    ("Delivered per second", 96.0, false, |bin| Some(bin.delivered)),
    ("p99 until accepted", 128.0, true, |bin| bin.accept_p99_us.map(|us| us as f64)),
    ("p99 until shown elsewhere", 128.0, true, |bin| bin.deliver_p99_us.map(|us| us as f64)),
];

/// Draws both sides from the beginning of the load, as long as every run lasts.
pub(crate) fn overlay(a: &[&Measured], b: &[&Measured]) -> Markup {
    let loads = |side: &[&Measured]| side.iter().map(|run| load(run).to_vec()).collect::<Vec<_>>();
    let (mut a, mut b) = (loads(a), loads(b));
    let seconds = a.iter().chain(&b).map(Vec::len).min().unwrap_or(0);
    a.iter_mut().chain(&mut b).for_each(|run| run.truncate(seconds));
    let bins = |side: Vec<Vec<Second>>| -> Vec<Bins> {
        side.iter().map(|run| Bins::of(run, seconds as u64 * SECOND_US)).collect()
    };
    let sides = [bins(a), bins(b)];
    let time = Scale::linear((0.0, (seconds as f64).max(0.1)), (LEFT, RIGHT));
    let mut bottom = 0.0;
    let panels: Vec<Markup> = PANELS
        .iter()
        .map(|(title, height, is_latency, value)| {
            let top = bottom + HEAD;
            bottom = top + height;
            let frame = Frame { left: LEFT, right: RIGHT, top, bottom };
            panel(&frame, title, *is_latency, *value, &sides, &time)
        })
        .collect();
    html! {
        svg.chart viewBox={ "0 0 " (WIDTH) " " (tenth(bottom + AXIS)) } role="img"
            aria-label="Throughput and latency of both sides over time" {
            @for panel in &panels { (panel) }
            (axis(&time, bottom))
        }
    }
}

/// The seconds from the beginning of the load until it ends.
fn load(run: &Measured) -> &[Second] {
    let began = |phase| {
        let mark = run.phases.iter().find(|mark| mark.phase == phase);
        mark.map(|mark| (mark.at_us / SECOND_US) as usize)
    };
    let from = began(Phase::Load).unwrap_or(0).min(run.seconds.len());
    let to = began(Phase::Settle).unwrap_or(run.seconds.len()).min(run.seconds.len());
    &run.seconds[from..to.max(from)]
}

fn panel(
    frame: &Frame,
    title: &str,
    is_latency: bool,
    value: Value,
    sides: &[Vec<Bins>; 2],
    time: &Scale,
) -> Markup {
    let spreads = sides.each_ref().map(|side| spread(side, value));
    let all = || spreads.iter().flatten().filter_map(|(_, spread)| *spread).flatten();
    let highest = all().fold(1.0, f64::max);
    let (scale, ticks): (Scale, Vec<Tick>) = if is_latency {
        let (from, to, ticks) = latency_axis(all().fold(f64::INFINITY, f64::min).min(1e9), highest);
        (Scale::logarithmic((from, to), frame.upwards()), ticks)
    } else {
        let (to, ticks) = count_axis(highest, 4);
        (Scale::linear((0.0, to), frame.upwards()), ticks)
    };
    let points = |spread: &[(f64, Option<[f64; 3]>)], which: usize| -> Vec<Point> {
        let point = |(seconds, spread): &(f64, Option<[f64; 3]>)| {
            spread.map(|values| (time.at(*seconds), scale.at(values[which])))
        };
        spread.iter().map(point).collect()
    };
    html! {
        @if all().next().is_none() { (nothing(frame, "nothing was measured")) } @else {
            (grid(frame, &scale, &ticks))
        }
        (head(frame, title, &LEGEND))
        @for (spread, (_, class)) in spreads.iter().zip(LEGEND) {
            (between(&points(spread, 2), &points(spread, 0), class))
            (line(&points(spread, 1), class))
        }
    }
}

/// For each bin its middle, and the lowest, the median and the highest value of the runs that have one.
fn spread(runs: &[Bins], value: Value) -> Vec<(f64, Option<[f64; 3]>)> {
    let bins = runs.iter().map(|run| run.rows.len()).min().unwrap_or(0);
    let of_bin = |index: usize| {
        let mut values: Vec<f64> = runs.iter().filter_map(|run| value(&run.rows[index])).collect();
        values.sort_unstable_by(f64::total_cmp);
        let spread = values.last().map(|&highest| {
            let half = values.len() / 2;
            let below = if values.len().is_multiple_of(2) { half - 1 } else { half };
            [values[0], f64::midpoint(values[below], values[half]), highest]
        });
        (runs[0].rows[index].middle_s(), spread)
    };
    (0..bins).map(of_bin).collect()
}

#[cfg(test)]
mod tests {
    use super::{overlay, spread};
    use crate::html::chart::bins::Bins;
    use crate::measured::{Measured, Second};
    use crate::sample;

    #[test]
    fn a_side_is_its_median_within_its_extremes() {
        let run = |accepted| {
            Bins::of(&[Second { accepted, ..Second::default() }, Second::default()], 2_000_000)
        };
        let drawn = spread(&[run(30), run(10), run(20)], |bin| Some(bin.accepted));
        assert_eq!(drawn, [(0.5, Some([10.0, 20.0, 30.0])), (1.5, Some([0.0, 0.0, 0.0]))]);
        let even = spread(&[run(30), run(10)], |bin| Some(bin.accepted));
        assert_eq!(even[0], (0.5, Some([10.0, 20.0, 30.0])), "between both");
        let latency = spread(&[run(1)], |bin| bin.accept_p99_us.map(|us| us as f64));
        assert_eq!(latency, [(0.5, None), (1.5, None)]);
    }

    #[test]
    fn runs_that_measured_nothing_have_a_chart() {
        let (some, none) = (sample::measured(), Measured::default());
        for side in [&some, &none] {
            let drawn = overlay(&[side], &[&none]).into_string();
            assert!(!drawn.contains("NaN") && !drawn.contains("inf"), "{drawn}");
        }
        let drawn = overlay(&[&some], &[&some]).into_string();
        assert!(
            drawn.contains("class=\"line a\"") && drawn.contains("class=\"line b\""),
            "{drawn}"
        );
    }
}
