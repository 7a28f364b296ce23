//! **No node panics.** No process of the cluster ends by a panic, whatever is done to it.
//!
//! - Judged: starts of processes whose panic the observer would notice. In the simulator these are all
//!   of them; in a real run those of a cluster that was started for it; with `--target` none.
//! - Excused: nothing: a panic is a bug of the cluster also while a fault is active.
//! - No bad choice: a choice that panics would be a bug, not a design.
//! - Broken by: a store node that panics while its disk is full. Not by: a node that is killed.
//!
//! Streaming: a counter.

use super::Check;
use crate::history::event::{Event, What};
use crate::part::Scope;
use crate::state::{State, Step};
use crate::tally::Tally;

#[derive(Default)]
pub(crate) struct Invariant;

impl Check for Invariant {
    const SCOPE: Scope = Scope::Run;

    fn observe(&mut self, state: &State, _: &Step, event: &Event, tally: &mut Tally) {
        match &event.is {
            What::NodeStarted { .. } => tally.judged += 1,
            What::NodePanicked { node, message, place } => {
                tally
                    .violated_by(state, event, || format!("{node} panicked at {place}: {message}"));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::history::What;
    use crate::history::builder::Builder;
    use crate::invariants::tests::{clean, judge, violated};

    const NAME: &str = "no_node_panics";

    fn started() -> Builder {
        let started = What::NodeStarted { node: "store-1".into() };
        Builder::new(2, 1).push(started).group(1, &[1, 2]).connect_all().say(1, 1)
    }

    #[test]
    fn a_node_that_is_killed_is_none_that_panics() {
        assert_eq!(clean(NAME, &started().fault(1, "kill", "store-1", 1_000).finish()).judged, 1);
    }

    #[test]
    fn a_panic_is_noticed_with_its_words_and_place() {
        let panicked = What::NodePanicked {
            node: "store-1".into(),
            message: "the head fell from 8 to 7".into(),
            place: "cluster/store/src/core/step.rs:12".into(),
        };
        let finding = violated(NAME, &started().push(panicked).finish());
        let what = &finding.evidence[0].what;
        assert_eq!(
            what,
            "store-1 panicked at cluster/store/src/core/step.rs:12: the head fell from 8 to 7"
        );
    }

    #[test]
    fn a_node_that_ends_by_itself_makes_the_verdict_unknown() {
        let ended = What::NodeEnded { node: "store-1".into(), why: "damaged".into() };
        let history = started().push(ended).finish();
        clean(NAME, &history);
        let judgement = judge(&history);
        let says = |doubt: &String| doubt.starts_with("store-1 ended by itself at");
        assert!(judgement.doubts.iter().any(says), "{judgement:#?}");
    }
}
