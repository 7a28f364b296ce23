//! A small chart without axes, for a cell of a table: its height is a value that the table's head names.

use super::line::{Point, line, tenth, under};
use super::scale::Scale;
use crate::measured::Band;
use maud::{Markup, html};

/// The drawing; the page scales it.
const WIDTH: f64 = 240.0;
const HEIGHT: f64 = 34.0;

/// Values over a run that ended then, up to `highest`, with its fault episodes behind them. A point is a
/// moment in microseconds and a value.
pub(crate) fn spark(
    values: &[Option<(u64, f64)>],
    (ended_us, highest): (u64, f64),
    bands: &[Band],
    class: &str,
) -> Markup {
    let time = Scale::linear((0.0, ended_us.max(1) as f64), (0.0, WIDTH));
    let height = Scale::linear((0.0, highest.max(f64::MIN_POSITIVE)), (HEIGHT - 1.0, 1.0));
    let point = |(at_us, value): (u64, f64)| (time.at(at_us as f64), height.at(value));
    let points: Vec<Point> = values.iter().map(|value| value.map(point)).collect();
    html! {
        svg.chart.spark viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } aria-hidden="true" {
            @for band in bands {
                @let from = time.at(band.from_us as f64);
                @let to = time.at(band.to_us.unwrap_or(ended_us) as f64);
                rect.band.behind x=(tenth(from)) width=(tenth((to - from).max(1.0))) y="0" height=(HEIGHT) {}
            }
            (under(&points, HEIGHT, class))
            (line(&points, class))
        }
    }
}
