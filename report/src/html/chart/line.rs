//! Lines and areas with gaps: where nothing was measured nothing is drawn, and no line pretends
//! that there was something in between.

use maud::{Markup, html};
use std::fmt::Write as _;

/// A point, or the lack of one.
pub(crate) type Point = Option<(f64, f64)>;

/// The points of a line between two gaps.
fn pieces(points: &[Point]) -> impl Iterator<Item = Vec<(f64, f64)>> {
    points
        .split(Option::is_none)
        .filter(|piece| !piece.is_empty())
        .map(|piece| piece.iter().flatten().copied().collect())
}

/// A line; a point on its own becomes a dot.
pub(crate) fn line(points: &[Point], class: &str) -> Markup {
    let mut path = String::new();
    let mut dots = Vec::new();
    for piece in pieces(points) {
        if let [alone] = piece[..] {
            dots.push(alone);
        } else {
            trace(&piece, 'M', &mut path);
        }
    }
    html! {
        @if !path.is_empty() {
            path class={ "line " (class) } d=(path) {}
        }
        @for (x, y) in dots {
            circle class={ "dot " (class) } cx=(tenth(x)) cy=(tenth(y)) r="2.2" {}
        }
    }
}

/// The area between two lines that have the same gaps.
pub(crate) fn between(upper: &[Point], lower: &[Point], class: &str) -> Markup {
    let mut path = String::new();
    for (above, mut below) in pieces(upper).zip(pieces(lower)) {
        if above.len() < 2 {
            continue;
        }
        trace(&above, 'M', &mut path);
        below.reverse();
        trace(&below, 'L', &mut path);
        path.push('Z');
    }
    html! {
        @if !path.is_empty() {
            path class={ "area " (class) } d=(path) {}
        }
    }
}

/// The area between a line and the base of its panel.
pub(crate) fn under(points: &[Point], base: f64, class: &str) -> Markup {
    let bottom: Vec<Point> = points.iter().map(|point| point.map(|(x, _)| (x, base))).collect();
    between(points, &bottom, class)
}

fn trace(points: &[(f64, f64)], first: char, path: &mut String) {
    for (index, (x, y)) in points.iter().enumerate() {
        let command = if index == 0 { first } else { 'L' };
        let _ = write!(path, "{command}{} {}", tenth(*x), tenth(*y));
    }
}

/// A coordinate to a tenth of a pixel.
pub(crate) fn tenth(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::{between, line, tenth};

    #[test]
    fn a_gap_breaks_a_line() {
        let drawn = line(&[Some((0.0, 1.0)), Some((2.0, 3.0)), None, Some((4.0, 5.5))], "s");
        assert_eq!(
            drawn.into_string(),
            "<path class=\"line s\" d=\"M0 1L2 3\"></path>\
             <circle class=\"dot s\" cx=\"4\" cy=\"5.5\" r=\"2.2\"></circle>"
        );
        assert_eq!(line(&[None, None], "s").into_string(), "");
    }

    #[test]
    fn an_area_is_closed() {
        let upper = [Some((0.0, 1.0)), Some((2.0, 1.0))];
        let lower = [Some((0.0, 9.0)), Some((2.0, 9.0))];
        assert_eq!(
            between(&upper, &lower, "s").into_string(),
            "<path class=\"area s\" d=\"M0 1L2 1L2 9L0 9Z\"></path>"
        );
        assert_eq!(tenth(12.34), "12.3");
    }
}
