//! Small histories that the judge finds violated, for tests.

use crate::measure::Measurements;
use crate::measured::Measured;
use crate::sample::Stage;
use verify::history::builder::{Builder, History};
use verify::history::event::{Event, What};
use verify::verdict::{Judgement, Verdict};
use verify::{CATALOGUE, Judge, JudgeOptions};

/// The power loss begins so long after the acceptance.
pub(crate) const LATER_US: u64 = 13_000;

fn talk() -> Builder {
    Builder::new(3, 1).group(1, &[1, 2, 3]).connect_all().say(1, 1).say(2, 1)
}

/// Message 5 of the conversation is accepted, its owner loses power, and message 6 is said. `tamper` then changes
/// the final read.
pub(crate) fn after_power_loss(tamper: impl FnOnce(&mut Vec<Event>)) -> History {
    let said = talk();
    let owner = format!("store-{}", said.log(1)[4].owner);
    // Behind the acceptance three devices show it, a millisecond apart, and so far behind is the fault.
    said.wait(LATER_US - 4 * 1_000)
        .fault(1, "power_loss", &owner, 1_000_000)
        .say(3, 1)
        .finish()
        .tampered(tamper)
}

/// The store has nothing at sequence 5.
pub(crate) fn lost(events: &mut Vec<Event>) {
    lose(events, 5);
}

/// The store has nothing at a sequence.
pub(crate) fn lose(events: &mut Vec<Event>, sequence: u64) {
    events.retain(
        |event| !matches!(&event.is, What::Stored { entry } if entry.sequence.0 == sequence),
    );
}

/// A node is killed.
pub(crate) fn killed(node: &str) -> What {
    let (kind, target) = ("kill".into(), node.into());
    What::FaultBegan { fault: 1, kind, target, drawn: false, injected: None }
}

/// It starts again.
pub(crate) const fn back() -> What {
    What::FaultEnded { fault: 1, effect: 1 }
}

/// The store has message 6 at sequence 5, too.
pub(crate) fn replaced(events: &mut Vec<Event>) {
    let other = events.iter().find_map(|event| match &event.is {
        What::Stored { entry } if entry.sequence.0 == 6 => {
            Some((entry.author, entry.message, entry.said))
        }
        _ => None,
    });
    let (author, message, said) = other.expect("three messages were said");
    for event in events {
        if let What::Stored { entry } = &mut event.is
            && entry.sequence.0 == 5
        {
            (entry.author, entry.message, entry.said) = (author, message, said);
        }
    }
}

/// The judgement and the measurements of a history.
pub(crate) fn judged(history: &History) -> (Judgement, Measured) {
    let may_be_idle = CATALOGUE.iter().map(|claim| claim.name.to_owned()).collect();
    let options = JudgeOptions { may_be_idle, ..JudgeOptions::default() };
    let mut judge = Judge::new(&history.header, options);
    let mut measurements = Measurements::new(&history.header);
    for event in &history.events {
        judge.observe(event);
        measurements.observe(event);
    }
    (judge.finish(), measurements.finish())
}

/// A run with this history.
pub(crate) fn stage(history: &History) -> Stage {
    let mut stage = Stage::of(Verdict::Violated);
    stage.header = history.header.clone();
    (stage.judgement, stage.measured) = judged(history);
    stage
}
