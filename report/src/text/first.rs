//! What somebody must read first of a run with violations: the violation to look at first, and
//! the design under test.

use crate::number;
use crate::run::Run;
use crate::under_test::{choices, not_caught};
use crate::violations;

/// The violation to look at first, as a sentence, and when the earliest one was.
pub(super) fn violation(run: &Run) -> Option<String> {
    let (_, shown) = violations::leading(run.judgement)?;
    let sentence = violations::sentence(shown, &run.measured.faults);
    let earlier = violations::earlier(run.judgement).map_or_else(String::new, |(found, shown)| {
        let at = number::moment(shown.at);
        format!(" The earliest violation was {} at {at}.", found.invariant)
    });
    Some(format!("Look at this first: {sentence}{earlier}"))
}

/// What the scenario predicts of the run, and why, if it is one of its tries.
pub(super) fn prediction(run: &Run) -> Option<String> {
    let prediction = run.prediction()?;
    Some(format!("{} {}", prediction.told(), prediction.because))
}

/// The choices under test, a paragraph each, in the Markdown of their documentation.
pub(super) fn designs(run: &Run) -> Vec<String> {
    let choices = choices(&run.scenario.design).into_iter().map(|choice| {
        let (key, option, sound) = (choice.key, choice.option, choice.sound);
        match choice.why {
            Some(why) => {
                format!(
                    "Design under test: `{key} = {option}`, where `{sound}` is sound{}. {why}",
                    not_caught(run)
                )
            }
            None => format!("Design under test: `{key} = {option}`, as sound as `{sound}`."),
        }
    });
    choices.collect()
}
