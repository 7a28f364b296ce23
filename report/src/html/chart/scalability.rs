//! Throughput over the operations in flight: the levels, the fitted law, its interval.

use super::line::{Point, between, line, tenth};
use super::panel::{Frame, HEAD, grid, head, nothing};
use super::scale::{Scale, count_axis, round_down, round_up};
use crate::knee::{Fit, Knee};
use crate::number;
use maud::{Markup, html};

const WIDTH: f64 = 1040.0;
const HEIGHT: f64 = 360.0;
const FRAME: Frame = Frame { left: 66.0, right: 1026.0, top: HEAD, bottom: HEIGHT - 44.0 };
const TITLE: &str = "Accepted per second, by operations in flight";

/// Draws the levels of a search, and the law if there is one.
pub(crate) fn scalability(knee: &Knee) -> Markup {
    let levels: Vec<_> =
        knee.levels.iter().filter_map(|level| Some((level, level.point()?))).collect();
    let band = knee.fit.as_ref().map_or(&[][..], |fit| &fit.band);
    let numbers =
        || levels.iter().map(|(_, point)| point.in_flight).chain(band.iter().map(|one| one.0));
    // A band without bounds would leave no room for the levels.
    let measured = levels.iter().map(|(_, point)| point.throughput).fold(1.0, f64::max);
    let curve = knee.fit.as_ref().map_or(0.0, highest);
    let (to, ticks) = count_axis(curve.max(measured).min(measured * 3.0), 5);
    let up = Scale::linear((0.0, to), FRAME.upwards());
    let from = round_down(numbers().fold(f64::INFINITY, f64::min).clamp(1e-3, 1e9));
    let across_to = round_up(numbers().fold(from, f64::max).max(from * 10.0));
    let across = Scale::logarithmic((from, across_to), (FRAME.left, FRAME.right));
    html! {
        svg.chart viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(TITLE) {
            (head(&FRAME, TITLE, &[("fitted law", "accept"), ("levels", "deliver")]))
            @if levels.is_empty() { (nothing(&FRAME, "no level was steady")) } @else {
                (grid(&FRAME, &up, &ticks))
                (decades(&across, from, across_to))
                @if let Some(fit) = &knee.fit { (law(fit, &across, &up)) }
                @for (_, point) in &levels {
                    circle class="dot deliver" r="4" cx=(tenth(across.at(point.in_flight)))
                        cy=(tenth(up.at(point.throughput))) {}
                }
            }
        }
    }
}

/// The highest value of the curve over its band.
fn highest(fit: &Fit) -> f64 {
    let law = fit.law();
    fit.band.iter().map(|(n, ..)| law.throughput(*n)).fold(0.0, f64::max)
}

fn law(fit: &Fit, across: &Scale, up: &Scale) -> Markup {
    let law = fit.law();
    let at = |n: f64, x: f64| -> Point { Some((across.at(n), up.at(x))) };
    let upper: Vec<Point> = fit.band.iter().map(|(n, _, high)| at(*n, *high)).collect();
    let lower: Vec<Point> = fit.band.iter().map(|(n, low, _)| at(*n, *low)).collect();
    let best: Vec<Point> = fit.band.iter().map(|(n, ..)| at(*n, law.throughput(*n))).collect();
    html! { (between(&upper, &lower, "accept")) (line(&best, "accept")) }
}

fn decades(across: &Scale, from: f64, to: f64) -> Markup {
    let first = from.log10().ceil() as i32;
    let last = to.log10().floor() as i32;
    html! {
        @for decade in first..=last {
            @let value = 10_f64.powi(decade);
            @let x = tenth(across.at(value));
            line.grid x1=(x) x2=(x) y1=(tenth(FRAME.top)) y2=(tenth(FRAME.bottom)) {}
            text class="tick x" x=(x) y=(tenth(FRAME.bottom + 18.0)) { (label(value)) }
        }
    }
}

fn label(value: f64) -> String {
    if value >= 1.0 { number::count(value.round() as u64) } else { format!("{value}") }
}
