//! One panel of a chart: its head with a legend, its axis, its grid.

use super::line::tenth;
use super::scale::{Scale, Tick};
use maud::{Markup, html};

/// Height of a panel's head.
pub(crate) const HEAD: f64 = 40.0;
/// Width of a letter of a legend, on average.
const LETTER: f64 = 6.9;
/// The same of a title, which is bold, in a wide font.
const BOLD_LETTER: f64 = 8.4;

/// Where a panel's plot lies.
#[derive(Clone, Copy)]
pub(crate) struct Frame {
    pub(crate) left: f64,
    pub(crate) right: f64,
    pub(crate) top: f64,
    pub(crate) bottom: f64,
}

impl Frame {
    /// A scale from the bottom to the top.
    pub(crate) fn upwards(&self) -> (f64, f64) {
        (self.bottom, self.top)
    }
}

/// A name in a legend and the class of its line.
pub(crate) type Entry = (&'static str, &'static str);

/// The head: what is shown, and a legend behind it, so that both are in sight where a phone shows the left of a chart.
pub(crate) fn head(frame: &Frame, title: &str, legend: &[Entry]) -> Markup {
    let y = frame.top - 11.0;
    let mut x = frame.left + title.chars().count() as f64 * BOLD_LETTER;
    let mut entries = Vec::with_capacity(legend.len());
    for (name, class) in legend {
        x += 40.0;
        entries.push((x, *name, *class));
        x += name.chars().count() as f64 * LETTER;
    }
    html! {
        text class="head" x=(tenth(frame.left)) y=(tenth(y)) { (title) }
        @for (x, name, class) in entries {
            line class={ "line " (class) }
                x1=(tenth(x - 23.0)) x2=(tenth(x - 6.0)) y1=(tenth(y - 4.0)) y2=(tenth(y - 4.0)) {}
            text class="legend" x=(tenth(x)) y=(tenth(y)) { (name) }
        }
    }
}

/// Horizontal grid lines and their labels.
pub(crate) fn grid(frame: &Frame, scale: &Scale, ticks: &[Tick]) -> Markup {
    html! {
        line.base x1=(tenth(frame.left)) x2=(tenth(frame.right))
            y1=(tenth(frame.bottom)) y2=(tenth(frame.bottom)) {}
        @for (value, label) in ticks {
            @let y = tenth(scale.at(*value));
            @if y != tenth(frame.bottom) {
                line.grid x1=(tenth(frame.left)) x2=(tenth(frame.right)) y1=(y) y2=(y) {}
            }
            text class="tick y" x=(tenth(frame.left - 8.0)) y=(y) { (label) }
        }
    }
}

/// Words in the middle of a panel that has nothing to show.
pub(crate) fn nothing(frame: &Frame, why: &str) -> Markup {
    html! {
        text class="nothing" x=(tenth(f64::midpoint(frame.left, frame.right)))
            y=(tenth(f64::midpoint(frame.top, frame.bottom))) { (why) }
    }
}
