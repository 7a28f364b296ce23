//! What somebody must read first of a run with violations: the violation to look at first, and
//! the design under test.

use crate::number;
use crate::run::Run;
use crate::under_test::choices;
use crate::violations;
use verify::verdict::Verdict;

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

/// The choices that may have to do with it, a paragraph each, in the Markdown of their documentation.
pub(super) fn designs(run: &Run) -> Vec<String> {
    if run.judgement.verdict != Verdict::Violated {
        return Vec::new();
    }
    let choices = choices(&run.scenario.design).into_iter().map(|choice| {
        let (key, option, sound) = (choice.key, choice.option, choice.sound);
        match choice.why {
            Some(why) => {
                format!("Design under test: `{key} = {option}`, where `{sound}` is sound. {why}")
            }
            None => format!("Design under test: `{key} = {option}`, as sound as `{sound}`."),
        }
    });
    choices.collect()
}
