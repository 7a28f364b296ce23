//! **Queues stay bounded.** Each level that a node reports (queues, memory, file descriptors) is at most
//! the limit that it reports with it; a limit of 0 means that there is none, and nothing is judged.
//!
//! - Judged: readings with a limit.
//! - Excused: nothing.
//! - Broken by: a level of 11 with a limit of 10. Not by: a level of 10.
//!
//! Streaming: a comparison.

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
        let What::Gauge { node, name, value, limit } = &event.is else { return };
        if *limit == 0 {
            return;
        }
        tally.judged += 1;
        if value > limit {
            tally.violated_by(state, event, || {
                format!("{name} of {node} is {value}, and the limit is {limit}")
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::history::What;
    use crate::history::builder::{Builder, History};
    use crate::invariants::tests::{clean, finding, violated};

    const NAME: &str = "queues_stay_bounded";

    fn gauge(value: u64, limit: u64) -> History {
        let name = "session_queue_frames".into();
        let gauge = What::Gauge { node: "gateway-1".into(), name, value, limit };
        Builder::new(1, 1).group(1, &[1]).connect_all().push(gauge).finish()
    }

    #[test]
    fn a_level_up_to_its_limit_is_clean() {
        assert_eq!(clean(NAME, &gauge(10, 10)).judged, 1);
        assert_eq!(finding(NAME, &gauge(10, 0)).judged, 0, "no limit, nothing to judge");
    }

    #[test]
    fn a_level_above_its_limit_is_noticed() {
        let finding = violated(NAME, &gauge(11, 10));
        assert!(finding.evidence[0].history[0].contains("session_queue_frames"));
    }
}
