//! The space-time diagram of a violation: lanes from left to right, time downwards, a row for each
//! step, and beside it what happens. It fits on a phone, since rows grow only downwards.

use crate::number;
use crate::violations::diagram::{Course, Diagram, Lane, Shade, Step};
use maud::{Markup, html};

/// Between two lanes, by how many there are: more are closer together, so that there is room for words on a phone.
const fn between(lanes: usize) -> f64 {
    match lanes {
        0..=4 => 48.0,
        5 => 40.0,
        _ => 34.0,
    }
}

/// The names of the lanes, and their kinds above; the style sheet begins the steps in words below as much.
const HEAD: f64 = 50.0;
/// The width of a letter of a kind, and what is left free between two kinds.
const LETTER: f64 = 6.0;
const SPACE: f64 = 4.0;
/// A row; the style sheet gives the steps in words the same height.
const ROW: f64 = 56.0;
/// Half the width of a fault's band.
const BAND: f64 = 9.0;
/// The head of an arrow: its length, and half its width.
const TIP: (f64, f64) = (8.0, 3.5);

/// Draws a diagram; `line` is what the page calls a line of the evidence.
pub(super) fn space_time(diagram: &Diagram, line: impl Fn(usize) -> String) -> Markup {
    let is_faulty = !diagram.shades.is_empty();
    html! {
        figure.space {
            div.steps {
                (drawing(diagram))
                ol { @for step in &diagram.steps { (row(step, &line)) } }
            }
            p.note {
                "Time goes downwards and is not to scale. "
                @if diagram.is_followed {
                    "The steps of gateways, broker and stores are from a second run of the same seed, in \
                     which this message was followed. "
                } @else {
                    "An arrow is bound to a moment at the client; when a node handled it is not recorded. "
                }
                @if is_faulty { "Shaded: faults. " }
                "4/2 is the second device of user 4, and 4/2 #18 its 18th message. A step leads to its line of \
                 the history."
            }
        }
    }
}

fn row(step: &Step, line: &impl Fn(usize) -> String) -> Markup {
    let class = match step.course {
        _ if step.is_violation => Some("violation"),
        Course::Began(_) | Course::Ended(_) => Some("fault"),
        _ => None,
    };
    let words = html! {
        time { @if let Some(at) = step.at { (number::moment(at)) } @else { "in the end" } }
        span { (step.what) }
    };
    html! {
        li class=[class] title=(step.what) {
            @if let Some(number) = step.line { a href={ "#" (line(number)) } { (words) } } @else { (words) }
        }
    }
}

fn drawing(diagram: &Diagram) -> Markup {
    let x = |lane: usize| x(diagram, lane);
    let width = x(diagram.lanes.len()) - x(0);
    let height = HEAD + ROW * diagram.steps.len() as f64;
    html! {
        svg width=(width) height=(height) viewBox={ "0 0 " (width) " " (height) } role="img"
            aria-label="The steps of the violation, between whom they are" {
            @for (number, step) in diagram.steps.iter().enumerate() {
                @if step.is_violation {
                    rect.row x="0" y=(y(number) - ROW / 2.0) width=(width) height=(ROW) {}
                }
            }
            @for shade in &diagram.shades { (band(x(shade.lane), shade, height)) }
            @for (number, lane) in diagram.lanes.iter().enumerate() {
                line.lane x1=(x(number)) x2=(x(number)) y1=(HEAD) y2=(height) {}
                text.name x=(x(number)) y=(HEAD - 10.0) { (lane.name) }
            }
            @for (kind, middle, is_raised) in placed(&kinds(&diagram.lanes), x) {
                text x=(middle) y=(if is_raised { HEAD - 38.0 } else { HEAD - 26.0 }) { (kind) }
            }
            @for (number, step) in diagram.steps.iter().enumerate() { (mark(diagram, number, step)) }
        }
    }
}

/// Each kind with its first and its last lane: it is said once, or words of neighbours would run into each other.
fn kinds(lanes: &[Lane]) -> Vec<(&str, usize, usize)> {
    let mut kinds: Vec<(&str, usize, usize)> = Vec::new();
    for (number, lane) in lanes.iter().enumerate() {
        match kinds.last_mut() {
            Some((kind, _, to)) if *kind == lane.kind => *to = number,
            _ => kinds.push((&lane.kind, number, number)),
        }
    }
    kinds
}

/// Each kind with its middle, and whether it stands above the others, since it would run into the one before.
fn placed<'a>(
    kinds: &[(&'a str, usize, usize)],
    x: impl Fn(usize) -> f64,
) -> Vec<(&'a str, f64, bool)> {
    let mut end = f64::NEG_INFINITY;
    let mut is_raised = false;
    let place = |&(kind, from, to): &(&'a str, usize, usize)| {
        let middle = f64::midpoint(x(from), x(to));
        let half = kind.chars().count() as f64 * LETTER / 2.0;
        is_raised = !is_raised && middle - half < end + SPACE;
        end = middle + half;
        (kind, middle, is_raised)
    };
    kinds.iter().map(place).collect()
}

fn x(diagram: &Diagram, lane: usize) -> f64 {
    between(diagram.lanes.len()) * (lane as f64 + 0.5)
}

fn y(step: usize) -> f64 {
    HEAD + ROW * (step as f64 + 0.5)
}

fn band(x: f64, shade: &Shade, bottom: f64) -> Markup {
    let (left, top) = (x - BAND, y(shade.from));
    let height = shade.to.map_or(bottom, y) - top;
    html! { rect.band x=(left) y=(top) width=(2.0 * BAND) height=(height.max(2.0)) {} }
}

fn mark(diagram: &Diagram, number: usize, step: &Step) -> Markup {
    let class = if step.is_violation { "mark violation" } else { "mark" };
    let at = y(number);
    let place = |lane| x(diagram, diagram.place(lane));
    html! {
        @match &step.course {
            Course::Sent(from, to) => {
                g class=(class) {
                    (arrow((place(from), at), (place(to), handled(diagram, number, to))))
                    circle cx=(place(from)) cy=(at) r="3.5" {}
                }
            },
            Course::Got(from, to) => {
                g class=(class) {
                    (arrow((place(from), origin(diagram, number, from)), (place(to), at)))
                    @if step.is_violation { (cross(place(to), at)) }
                }
            },
            Course::Point(lane) => {
                g class=(class) {
                    @if step.is_violation { (cross(place(lane), at)) }
                    @else { circle cx=(place(lane)) cy=(at) r="3.5" {} }
                }
            },
            Course::Began(_) | Course::Ended(_) => {},
        }
    }
}

/// Where a node handles what is sent in a step. That has no moment: it is drawn before the next step, or, if
/// the node is down, when it is there again.
fn handled(diagram: &Diagram, sent: usize, node: &Lane) -> f64 {
    let behind = sent as f64 + 0.5;
    let back = outage(diagram, behind, node).and_then(|shade| shade.to);
    back.map_or(HEAD + ROW * (behind + 0.5), y)
}

/// Where the arrow to a client leaves its node: where the message was handled, or before this step. A node that
/// is down sends nothing, so then it was before.
fn origin(diagram: &Diagram, number: usize, node: &Lane) -> f64 {
    if let Some(sent) = diagram.steps[number].since {
        return handled(diagram, sent, node);
    }
    let before = number as f64 - 0.5;
    outage(diagram, before, node).map_or(HEAD + ROW * (before + 0.5), |shade| y(shade.from))
}

/// The outage of a node at a place between steps.
fn outage<'a>(diagram: &'a Diagram, at: f64, node: &Lane) -> Option<&'a Shade> {
    let lane = diagram.place(node);
    diagram.shades.iter().filter(|shade| shade.is_outage && shade.lane == lane).find(|shade| {
        let to = shade.to.map_or(f64::INFINITY, |to| to as f64);
        (shade.from as f64..to).contains(&at)
    })
}

fn arrow(from: (f64, f64), to: (f64, f64)) -> Markup {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let length = dx.hypot(dy).max(1.0);
    let (ux, uy) = (dx / length, dy / length);
    let (back_x, back_y) = (to.0 - ux * TIP.0, to.1 - uy * TIP.0);
    let corner = |side: f64| (back_x - uy * TIP.1 * side, back_y + ux * TIP.1 * side);
    let ((left_x, left_y), (right_x, right_y)) = (corner(1.0), corner(-1.0));
    let tip =
        format!("M{:.1} {:.1}L{left_x:.1} {left_y:.1}L{right_x:.1} {right_y:.1}Z", to.0, to.1);
    html! {
        line x1=(from.0) y1=(from.1) x2=(format!("{back_x:.1}")) y2=(format!("{back_y:.1}")) {}
        path d=(tip) {}
    }
}

/// Where it went wrong.
fn cross(x: f64, y: f64) -> Markup {
    let half = 7.0;
    html! {
        circle.disc cx=(x) cy=(y) r="11" {}
        line x1=(x - half) y1=(y - half) x2=(x + half) y2=(y + half) {}
        line x1=(x - half) y1=(y + half) x2=(x + half) y2=(y - half) {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::violations::fixture;
    use verify::history::builder::Builder;

    #[test]
    fn kinds_do_not_run_into_each_other() {
        let kinds = [("gateway", 0, 0), ("broker", 1, 1), ("store", 2, 2), ("store", 3, 4)];
        let raised = |between: f64| {
            let placed = placed(&kinds, |lane| lane as f64 * between);
            placed.iter().map(|(.., is_raised)| *is_raised).collect::<Vec<_>>()
        };
        assert_eq!(raised(48.0), [false; 4]);
        assert_eq!(raised(34.0), [false, true, false, false]);
    }

    #[test]
    fn a_node_that_is_down_handles_nothing() {
        let talk = Builder::new(2, 1).group(1, &[1, 2]).connect_all().say(1, 1);
        let owner = format!("store-{}", talk.log(1)[2].owner);
        let history = talk
            .push(fixture::killed(&owner))
            .send(2, 1)
            .push(fixture::back())
            .commit(2)
            .accept(2)
            .finish()
            .tampered(|events| fixture::lose(events, 4));
        let (judgement, measured) = fixture::judged(&history);
        let survives = judgement.findings.iter().find(|one| one.invariant.contains("survives"));
        let shown = survives.and_then(|found| found.evidence.first()).expect("it is violated");
        let drawn =
            crate::violations::diagram::diagram(&history.header, shown, &measured.faults, &[]);
        let drawn = drawn.expect("there are steps");
        let words: Vec<&str> = drawn.steps.iter().map(|step| &*step.what).collect();
        assert!(words[0].ends_with("was killed") && words[1].ends_with("is sent"), "{words:?}");
        assert!(words[2].ends_with("started again") && words[3].contains("accepted"), "{words:?}");
        let Course::Got(node, _) = &drawn.steps[3].course else { panic!("{drawn:?}") };
        assert_eq!(handled(&drawn, 1, node).to_bits(), y(2).to_bits());
        assert_eq!(origin(&drawn, 3, node).to_bits(), y(2).to_bits());
    }
}
