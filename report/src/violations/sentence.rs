//! A violation as a sentence that somebody can follow who knows nothing of the run.

use super::fault;
use super::lines::{Line, halves, lines, names_its_moment, promise, store};
use crate::measured::Band;
use crate::number;
use verify::history::event::What;
use verify::verdict::Evidence;

/// What happened, with the fault that was nearest: from recorded events and faults only. It says "later"
/// and "before", and never why.
pub(crate) fn sentence(shown: &Evidence, faults: &[Band]) -> String {
    let lines = lines(shown);
    let what = timed(shown);
    let Some(band) = fault::nearest(shown, &lines, faults) else {
        return match shown.faults.as_slice() {
            [] => format!("{what}. No fault was active then or shortly before."),
            [first, ..] => format!("{what}. The history has {first}."),
        };
    };
    match halves(&what) {
        // The order of the sentence is that of the events.
        Some((before, outcome)) if band.from_us > shown.at && names_its_moment(shown) => {
            let told = fault::later(band, shown.at);
            let told = by_owner(band, promise(shown, &lines), &told);
            format!("{before}; {told}; {outcome}.")
        }
        _ => {
            let order = if band.from_us > shown.at { "Later" } else { "Before" };
            format!("{what}. {order}, {}.", fault::told(band, shown.at))
        }
    }
}

/// The judge's words, with the time if they do not have it.
fn timed(shown: &Evidence) -> String {
    if names_its_moment(shown) {
        let mut letters = shown.what.chars();
        let first = letters.next().map(char::to_uppercase).into_iter().flatten();
        return first.chain(letters).collect();
    }
    format!("At {}, {}", number::moment(shown.at), shown.what)
}

/// Says of the node that a fault hit that it had accepted the message, if it was this one.
fn by_owner(band: &Band, promise: Option<&Line>, told: &str) -> String {
    let answer = promise.map(|line| &line.event.is);
    let Some(What::Accepted { owner, .. }) = answer else { return told.to_owned() };
    let owner = store(owner.0);
    match told.strip_prefix(&owner) {
        Some(rest) if *band.target == *owner => {
            format!("{owner}, which had accepted it,{rest}")
        }
        _ => told.to_owned(),
    }
}
