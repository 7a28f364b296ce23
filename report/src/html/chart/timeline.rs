//! The run over time: panels with one time axis, and the fault episodes as bands through all of
//! them, so that the eye finds what a fault did.

use super::bins::{Bin, Bins};
use super::line::{Point, between, line, tenth, under};
use super::panel::{Entry, Frame, HEAD, grid, head, nothing};
use super::rows::{Bar, Rows};
use super::scale::{Scale, count_axis, latency_axis, time_ticks};
use crate::measured::Measured;
use crate::number;
use maud::{Markup, html};

/// Width of the drawing; the page scales it.
pub(super) const WIDTH: f64 = 1040.0;
pub(super) const LEFT: f64 = 66.0;
pub(super) const RIGHT: f64 = 1026.0;
const PHASES: f64 = 24.0;
const ROW: f64 = 18.0;
pub(super) const AXIS: f64 = 30.0;
/// Moments of violations that are marked; more would be a wall.
const MARKS_MAX: usize = 60;

/// A value of a bin.
type Value = fn(&Bin) -> f64;
/// A latency of a bin.
type Latency = fn(&Bin) -> Option<u64>;

/// Draws the run; `violated_at` are the moments of violations, in microseconds.
pub(crate) fn timeline(measured: &Measured, bins: &Bins, violated_at: &[u64]) -> Markup {
    let chart = Chart::new(measured, bins);
    let (panels, bottom) = chart.panels();
    let top = chart.panels_top();
    html! {
        svg.chart.timeline viewBox={ "0 0 " (WIDTH) " " (tenth(bottom + AXIS)) } role="img"
            aria-label="Throughput, latency and sessions over time, with the fault episodes"
            data-left=(LEFT) data-right=(RIGHT) data-to=(chart.time.to()) {
            (chart.phases(bottom))
            (chart.bands(top, bottom))
            (chart.marks(violated_at, top, bottom))
            (panels)
            (axis(&chart.time, bottom))
            line.cursor x1="0" x2="0" y1=(tenth(top)) y2=(tenth(bottom)) visibility="hidden" {}
        }
    }
}

struct Chart<'a> {
    measured: &'a Measured,
    bins: &'a Bins,
    time: Scale,
    rows: Rows<'a>,
}

impl<'a> Chart<'a> {
    fn new(measured: &'a Measured, bins: &'a Bins) -> Self {
        let to = (measured.ended_us as f64 / 1e6).max(0.1);
        let time = Scale::linear((0.0, to), (LEFT, RIGHT));
        let rows = Rows::of(&measured.faults, &time, measured.ended_us, RIGHT);
        Self { measured, bins, time, rows }
    }

    fn panels_top(&self) -> f64 {
        PHASES + self.rows.count as f64 * ROW + if self.rows.count > 0 { 6.0 } else { 0.0 }
    }

    /// All panels, and where the last one ends.
    fn panels(&self) -> (Markup, f64) {
        let mut top = self.panels_top();
        let mut next = |height: f64| {
            let frame =
                Frame { left: LEFT, right: RIGHT, top: top + HEAD, bottom: top + HEAD + height };
            top = frame.bottom;
            frame
        };
        let operations = self.counts(
            &next(112.0),
            "Operations per second",
            &[("sent", "sent"), ("accepted", "accept")],
            &[|bin| bin.sent, |bin| bin.accepted],
        );
        let deliveries = self.counts(
            &next(88.0),
            "Deliveries per second",
            &[("delivered", "deliver")],
            &[|bin| bin.delivered],
        );
        let latency = self.latency(&next(168.0));
        let sessions = self.counts(
            &next(64.0),
            "Connected devices",
            &[("connected", "connected")],
            &[|bin| bin.connected],
        );
        let trouble: [Value; 3] = [|bin| bin.rejected, |bin| bin.resent, |bin| bin.closed];
        let quiet = trouble.iter().all(|value| self.bins.highest(value) == 0.0);
        let trouble = if quiet {
            html! {}
        } else {
            self.counts(
                &next(56.0),
                "Trouble per second",
                &[("refused", "rejected"), ("sent again", "resent"), ("sessions ended", "closed")],
                &trouble,
            )
        };
        (html! { (operations) (deliveries) (latency) (sessions) (trouble) }, top)
    }

    fn counts(&self, frame: &Frame, title: &str, legend: &[Entry], values: &[Value]) -> Markup {
        let highest = values.iter().map(|value| self.bins.highest(value)).fold(0.0, f64::max);
        let (to, ticks) = count_axis(highest, if frame.bottom - frame.top > 80.0 { 4 } else { 2 });
        let scale = Scale::linear((0.0, to), frame.upwards());
        // Steps, because a count belongs to all of its second; slopes would invent moments.
        let points = |value: &Value| -> Vec<Point> {
            let ends = |bin: &Bin| {
                let y = scale.at(value(bin));
                [bin.from_s, bin.to_s].map(|seconds| Some((self.time.at(seconds), y)))
            };
            self.bins.rows.iter().flat_map(ends).collect()
        };
        html! {
            (grid(frame, &scale, &ticks))
            (head(frame, title, legend))
            @if highest == 0.0 { (nothing(frame, "none in this run")) }
            @for ((_, class), value) in legend.iter().zip(values) {
                @let points = points(value);
                // Only full lines get an area: below dashes it would belong to nothing.
                @if !matches!(*class, "sent" | "resent") { (under(&points, frame.bottom, class)) }
                (line(&points, class))
            }
        }
    }

    fn latency(&self, frame: &Frame) -> Markup {
        let series: [(Latency, Latency, &str); 2] = [
            (|bin| bin.accept_p50_us, |bin| bin.accept_p99_us, "accept"),
            (|bin| bin.deliver_p50_us, |bin| bin.deliver_p99_us, "deliver"),
        ];
        let all = || {
            let rows = self.bins.rows.iter();
            rows.flat_map(|bin| series.iter().flat_map(|(low, high, _)| [low(bin), high(bin)]))
                .flatten()
                .map(|us| us as f64)
        };
        let (from, to, ticks) =
            latency_axis(all().fold(f64::INFINITY, f64::min).min(1e9), all().fold(1.0, f64::max));
        let scale = Scale::logarithmic((from, to), frame.upwards());
        let points = |value: &Latency| -> Vec<Point> {
            let point = |bin: &Bin| {
                value(bin).map(|us| (self.time.at(bin.middle_s()), scale.at(us as f64)))
            };
            self.bins.rows.iter().map(point).collect()
        };
        let empty = all().next().is_none();
        html! {
            @if !empty { (grid(frame, &scale, &ticks)) }
            (head(frame, "Latency, p50 to p99", &[
                ("until accepted", "accept"), ("until shown elsewhere", "deliver"),
            ]))
            @if empty { (nothing(frame, "nothing was accepted or delivered")) }
            @for (low, high, class) in &series {
                @let (low, high) = (points(low), points(high));
                (between(&high, &low, class))
                (line(&low, &format!("thin {class}")))
                (line(&high, class))
            }
        }
    }

    fn phases(&self, bottom: f64) -> Markup {
        let phases = &self.measured.phases;
        let ends = phases.iter().skip(1).map(|mark| mark.at_us).chain([self.measured.ended_us]);
        let spans = phases.iter().zip(ends).map(|(mark, end_us)| {
            let at = |us: u64| self.time.at(us as f64 / 1e6);
            (mark.phase.words(), at(mark.at_us), at(end_us))
        });
        html! {
            @for (name, from, to) in spans {
                @if from > LEFT + 0.5 && name != "end" {
                    line.phase x1=(tenth(from)) x2=(tenth(from)) y1="4" y2=(tenth(bottom)) {}
                }
                @if to - from > name.chars().count() as f64 * 6.2 + 8.0 {
                    text.phase x=(tenth(from + 5.0)) y="13" { (name) }
                }
            }
        }
    }

    fn bands(&self, top: f64, bottom: f64) -> Markup {
        html! {
            @for (row, name) in self.rows.names.iter().enumerate() {
                text class="fault name" x=(tenth(LEFT - 8.0))
                    y=(tenth(PHASES + row as f64 * ROW + ROW - 7.5)) { (name) }
            }
            @for bar in &self.rows.bars {
                g.fault {
                    title { (title(bar)) }
                    rect.band x=(tenth(bar.x)) width=(tenth(bar.width)) y=(tenth(top))
                        height=(tenth(bottom - top)) {}
                    @if let Some(row) = bar.row {
                        @let y = PHASES + row as f64 * ROW;
                        rect.bar x=(tenth(bar.x)) width=(tenth(bar.width)) y=(tenth(y))
                            height=(tenth(ROW - 4.0)) rx="2.5" {}
                        @if bar.label.is_some() { line.drop x1=(tenth(bar.x)) x2=(tenth(bar.x))
                            y1=(tenth(y + ROW - 4.0)) y2=(tenth(top)) {} }
                        @if let Some(label) = bar.label {
                            @let inside = label > bar.x && label < bar.x + bar.width;
                            text class=(if inside { "fault inside" } else { "fault" })
                                x=(tenth(label)) y=(tenth(y + ROW - 7.5)) { (bar.text()) }
                        }
                    }
                }
            }
        }
    }

    fn marks(&self, violated_at: &[u64], top: f64, bottom: f64) -> Markup {
        html! {
            @for at in violated_at.iter().take(MARKS_MAX) {
                @let x = self.time.at(*at as f64 / 1e6);
                g.violation {
                    title { "violation at " (number::moment(*at)) }
                    line x1=(tenth(x)) x2=(tenth(x)) y1=(tenth(top)) y2=(tenth(bottom)) {}
                    path d={ "M" (tenth(x - 4.5)) " " (tenth(top)) "h9l-4.5 7z" } {}
                }
            }
        }
    }
}

/// The time axis below all panels.
pub(super) fn axis(time: &Scale, bottom: f64) -> Markup {
    html! {
        @for (seconds, label) in time_ticks(time.to(), 10) {
            @let at = time.at(seconds);
            @let x = tenth(at);
            line.base x1=(x) x2=(x) y1=(tenth(bottom)) y2=(tenth(bottom + 5.0)) {}
            text class=(tick_class(at)) x=(x) y=(tenth(bottom + 18.0)) { (label) }
        }
    }
}

/// A label at the right end must not be cut off.
fn tick_class(x: f64) -> &'static str {
    if x > RIGHT - 12.0 { "tick x last" } else { "tick x" }
}

/// What a reader sees when resting on a band.
fn title(bar: &Bar) -> String {
    let band = bar.band;
    let to = band.to_us.map_or_else(|| "the end".to_owned(), number::moment);
    let effect = match band.effect {
        Some(effect) => format!("effect {}", number::count(effect)),
        None => "effect unknown".to_owned(),
    };
    format!("{}: {} to {to}, {effect}", bar.text(), number::moment(band.from_us))
}
