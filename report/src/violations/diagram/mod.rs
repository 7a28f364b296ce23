//! A violation as a space-time diagram: who did what, one step below the other, with messages as
//! arrows and faults as bands.
//!
//! It has the steps that the evidence has, and of these the few without which it cannot be followed
//! (`choice`). Steps are in the order of time and not to scale: a loss is a matter of milliseconds, its
//! discovery one of minutes. Drawing is left to the page.

mod choice;
mod lane;
mod path;
mod step;

use super::fault;
use super::lines::{Line, halves, lines, promise};
use crate::measured::Band;
pub(crate) use lane::Lane;
pub(crate) use step::Course;
use verify::history::event::What;
use verify::history::{Header, PathStep};
use verify::verdict::Evidence;

/// Faults that are drawn: the nearest.
const FAULTS_MAX: usize = 3;

/// A diagram, ready to be drawn.
#[derive(Debug)]
pub(crate) struct Diagram {
    /// From left to right.
    pub(crate) lanes: Vec<Lane>,
    /// From top to bottom.
    pub(crate) steps: Vec<Step>,
    /// The faults, lane by lane.
    pub(crate) shades: Vec<Shade>,
    /// Whether the steps of nodes are among them.
    pub(crate) is_followed: bool,
}

/// One step.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// When; `None`: not at one moment.
    pub(crate) at: Option<u64>,
    /// What happens.
    pub(crate) what: String,
    /// Which line of the evidence says so.
    pub(crate) line: Option<usize>,
    /// What is drawn.
    pub(crate) course: Course,
    /// The step that sent what a client gets here: the node has handled it once, behind that step.
    pub(crate) since: Option<usize>,
    /// Whether it is the step that violates the invariant.
    pub(crate) is_violation: bool,
}

/// A fault on a lane, from one step to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shade {
    /// Which lane.
    pub(crate) lane: usize,
    /// From which step on.
    pub(crate) from: usize,
    /// To which step; `None`: to the end.
    pub(crate) to: Option<usize>,
    /// Whether the node does nothing meanwhile.
    pub(crate) is_outage: bool,
}

impl Diagram {
    /// Where a lane is.
    pub(crate) fn place(&self, lane: &Lane) -> usize {
        self.lanes.iter().position(|other| other == lane).unwrap_or_default()
    }
}

/// The diagram of a violation; `None` if its evidence has too little to draw.
pub(crate) fn diagram(
    header: &Header,
    shown: &Evidence,
    faults: &[Band],
    path: &[PathStep],
) -> Option<Diagram> {
    let lines = lines(shown);
    let mut steps: Vec<Step> = choice::chosen(shown, &lines)
        .into_iter()
        .filter_map(|(line, is_violation)| {
            let (what, course) = step::of(header, &line.event.is, &lines)?;
            let (at, line) = (Some(line.event.at), Some(line.number));
            Some(Step { at, what, line, course, since: None, is_violation })
        })
        .collect();
    if steps.is_empty() {
        return None;
    }
    let is_followed = choice::subject(shown, &lines).is_some_and(|(author, id)| {
        path::follow(&mut steps, (author, id), &header.message_name(author, id), path)
    });
    let faults = told_faults(shown, &lines, &steps, faults);
    for (index, band) in faults.iter().enumerate() {
        insert(&mut steps, band.from_us, fault::began(band), Course::Began(index));
        if let Some(to) = band.to_us {
            insert(&mut steps, to, fault::ended(band), Course::Ended(index));
        }
    }
    if !steps.iter().any(|step| step.is_violation) {
        steps.push(outcome(shown, &lines, &steps));
    }
    // Where the nodes' own steps are drawn, nothing is guessed of them.
    for number in 0..if is_followed { 0 } else { steps.len() } {
        steps[number].since = sent_by(&steps, number, &lines);
    }
    if steps.len() < 2 {
        return None;
    }
    let lanes = lane::ordered(steps.iter().map(|step| &step.course), &faults);
    let shades = shades(&steps, &faults, &lanes);
    Some(Diagram { lanes, steps, shades, is_followed })
}

/// The faults that belong to the steps: the nearest one, and what hit the nodes that appear.
fn told_faults<'a>(
    shown: &Evidence,
    lines: &[Line],
    steps: &[Step],
    faults: &'a [Band],
) -> Vec<&'a Band> {
    let nearest = fault::nearest(shown, lines, faults);
    let (first, last) = (steps[0].at.unwrap_or(0), steps[steps.len() - 1].at.unwrap_or(u64::MAX));
    let mut told: Vec<&Band> = fault::named(shown, faults)
        .into_iter()
        .filter(|band| band.from_us <= last && band.to_us.is_none_or(|to| to >= first))
        .filter(|band| steps.iter().any(|step| step.course.nodes().any(|node| node.is_hit(band))))
        .collect();
    told.sort_by_key(|band| band.from_us.abs_diff(shown.at));
    told.retain(|band| Some(*band) != nearest);
    told.truncate(FAULTS_MAX - 1);
    told.extend(nearest);
    told.sort_by_key(|band| band.from_us);
    told
}

/// The step that sent what a client gets: of a message that got a second sequence, nothing says what led to
/// it. What is read at the end comes from the store as it is then.
fn sent_by(steps: &[Step], number: usize, lines: &[Line]) -> Option<usize> {
    let event = |step: &Step| {
        let number = step.line?;
        lines.iter().find(|line| line.number == number).map(|line| &line.event.is)
    };
    let got = event(&steps[number]).filter(|event| !matches!(event, What::Stored { .. }))?;
    let (message, sequence) = (step::of_message(got)?, step::sequence_of(got)?);
    let mut before = steps[..number].iter().filter_map(event);
    let same = |event: &What| step::of_message(event) == Some(message);
    if before.any(|one| same(one) && step::sequence_of(one).is_some_and(|at| at != sequence)) {
        return None;
    }
    steps[..number]
        .iter()
        .position(|step| matches!(step.course, Course::Sent(..)) && event(step).is_some_and(same))
}

/// Inserts a step behind those of its time and before.
fn insert(steps: &mut Vec<Step>, at: u64, what: String, course: Course) {
    let place = steps.partition_point(|step| step.at.is_none_or(|other| other <= at));
    steps.insert(
        place,
        Step { at: Some(at), what, line: None, course, since: None, is_violation: false },
    );
}

/// What is missing is no event: it is told last, where it is missing.
fn outcome(shown: &Evidence, lines: &[Line], steps: &[Step]) -> Step {
    let what = halves(&shown.what).map_or(&*shown.what, |(_, outcome)| outcome);
    let promised = promise(shown, lines).and_then(|line| step::answered_by(&line.event.is));
    let stored = what.contains("the store").then(Lane::some_store);
    let last = steps.iter().rev().find_map(|step| step.course.nodes().next().cloned());
    let lane = Lane::device_in(what).or(promised).or(stored).or(last).unwrap_or_else(Lane::cluster);
    let (what, course) = (what.to_owned(), Course::Point(lane));
    Step { at: None, what, line: None, course, since: None, is_violation: true }
}

/// The faults as bands on the lanes of the nodes that they hit.
fn shades(steps: &[Step], faults: &[&Band], lanes: &[Lane]) -> Vec<Shade> {
    let at = |course: &Course| steps.iter().position(|step| step.course == *course);
    let hit = |index: usize, band: &Band| {
        let from = at(&Course::Began(index)).unwrap_or(0);
        let to = at(&Course::Ended(index));
        let lanes = lanes.iter().enumerate().filter(|(_, lane)| lane.is_hit(band));
        let is_outage = fault::is_outage(band);
        lanes.map(|(lane, _)| Shade { lane, from, to, is_outage }).collect::<Vec<_>>()
    };
    faults.iter().enumerate().flat_map(|(index, band)| hit(index, band)).collect()
}
