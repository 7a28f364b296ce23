//! Latency by percentile, both on logarithmic axes: the form of HdrHistogram's own plots, in which
//! the tail gets as much room as it deserves.

use super::line::{Point, line, tenth};
use super::panel::{Frame, HEAD, grid, head, nothing};
use super::scale::{Scale, latency_axis};
use crate::measured::{Latency, Point as Value};
use maud::{Markup, html};

const WIDTH: f64 = 1040.0;
const HEIGHT: f64 = 330.0;
const FRAME: Frame = Frame { left: 66.0, right: 1026.0, top: HEAD, bottom: HEIGHT - 32.0 };

/// Ticks of the percentile axis: the share of the values above, and the label.
const TICKS: [(f64, &str); 8] = [
    (1.0, "0 %"),
    (0.5, "50 %"),
    (1e-1, "90 %"),
    (1e-2, "99 %"),
    (1e-3, "99.9 %"),
    (1e-4, "99.99 %"),
    (1e-5, "99.999 %"),
    (1e-6, "99.9999 %"),
];

/// One distribution of the chart.
pub(crate) struct Curve<'a> {
    pub(crate) name: &'static str,
    /// The class of its line.
    pub(crate) class: &'static str,
    pub(crate) count: u64,
    pub(crate) points: &'a [Value],
}

impl<'a> Curve<'a> {
    pub(crate) fn of(name: &'static str, class: &'static str, latency: &'a Latency) -> Self {
        Self { name, class, count: latency.all.count, points: &latency.distribution }
    }
}

/// Draws distributions over one another.
pub(crate) fn distribution(title: &str, curves: &[Curve]) -> Markup {
    let points = || curves.iter().flat_map(|curve| curve.points);
    let values = || points().map(|point| point.value_us as f64);
    let most = curves.iter().map(|curve| curve.count).max().unwrap_or(0);
    let legend: Vec<_> = curves.iter().map(|curve| (curve.name, curve.class)).collect();
    // Beyond one value in `most` there is nothing to see; ten leaves room for the labels.
    let rarest = (most as f64).clamp(10.0, 1e6 * 2.0);
    let percent = Scale::logarithmic((1.0, rarest), (FRAME.left, FRAME.right));
    let (from, to, ticks) =
        latency_axis(values().fold(f64::INFINITY, f64::min).min(1e9), values().fold(1.0, f64::max));
    let scale = Scale::logarithmic((from, to), FRAME.upwards());
    let empty = points().next().is_none();
    html! {
        svg.chart viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img"
            aria-label=(title) {
            (head(&FRAME, title, &legend))
            @if empty { (nothing(&FRAME, "nothing was accepted or delivered")) } @else {
                (grid(&FRAME, &scale, &ticks))
                @for (above, label) in TICKS.into_iter().filter(|(above, _)| 1.0 / above <= rarest) {
                    @let x = tenth(percent.at(1.0 / above));
                    line.grid x1=(x) x2=(x) y1=(tenth(FRAME.top)) y2=(tenth(FRAME.bottom)) {}
                    text class="tick x" x=(x) y=(tenth(FRAME.bottom + 18.0)) { (label) }
                }
                @for curve in curves { (line(&drawn(curve, &percent, &scale), curve.class)) }
            }
        }
    }
}

fn drawn(curve: &Curve, percent: &Scale, scale: &Scale) -> Vec<Point> {
    let count = curve.count as f64;
    let points = curve.points.iter();
    points
        .map(|point| {
            // The highest value is one of `count`, whatever its quantile is called.
            let rarity = (1.0 / (1.0 - point.quantile).max(f64::MIN_POSITIVE)).min(count.max(1.0));
            Some((percent.at(rarity), scale.at(point.value_us as f64)))
        })
        .collect()
}
