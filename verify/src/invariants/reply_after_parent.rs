//! **A reply comes after its parent.** A reply at q to the parent p is shown on a device => p < q,
//! and the device has shown p before; unless p lies before the device's first stream, the user was
//! not a member at p or departed between p and q, or retention removed p.
//!
//! - Judged: replies shown.
//! - Excused: nothing. Where the log was not read, and it stays unknown whether the user was a member,
//!   a missing parent is a reason for an unknown verdict.
//! - Broken by: a reply that is shown before its parent. Not by: a reply to a message from before the
//!   device's first stream.
//!
//! Streaming: one look into the device's shown intervals, O(1) in a sound run.

use super::{Check, about_entry};
use crate::history::event::{Event, Said, What};
use crate::state::merge::Slots;
use crate::state::{State, Step, short};
use crate::suspicions::Suspicions;
use crate::tally::Tally;

#[derive(Default)]
pub(crate) struct Invariant {
    orphans: Suspicions,
}

impl Check for Invariant {
    fn observe(&mut self, state: &State, step: &Step, event: &Event, tally: &mut Tally) {
        let What::Shown { entry, .. } = &event.is else { return };
        let Said::Message { parent: Some(parent), .. } = entry.said else { return };
        tally.judged += 1;
        let pair = state.pairs.pair(step.pair);
        let at = short(parent);
        let mut about = about_entry(step, entry);
        about.other = Some(at);
        let what = || {
            format!(
                "{} showed sequence {} of conversation {}, a reply to {parent}, before that",
                state.device_name(step.device),
                entry.sequence,
                entry.conversation
            )
        };
        if at >= step.sequence {
            tally.violated(state, about, what);
        } else if at > pair.stream.base && !pair.shown.contains(at) {
            self.orphans.add(state, step.who, (at, at), step.sequence, about, what);
        }
    }

    fn merge(&mut self, other: Self, slots: &Slots, _: &State, _: &mut Tally) {
        self.orphans.merge(other.orphans, slots);
    }

    fn finish(&mut self, state: &State, tally: &mut Tally) {
        self.orphans.resolve(state, tally);
    }
}

#[cfg(test)]
mod tests {
    use crate::history::builder::Builder;
    use crate::history::event::Said;
    use crate::invariants::tests::{clean, violated};
    use protocol::Sequence;

    const NAME: &str = "reply_after_parent";

    const fn reply(parent: u64) -> Said {
        Said::Message { hash: 9, parent: Some(Sequence(parent)) }
    }

    fn talk() -> Builder {
        Builder::new(2, 1).group(1, &[1, 2]).connect_all()
    }

    #[test]
    fn a_reply_behind_its_parent_is_clean() {
        let replied = talk().say(1, 1).say_said(2, 1, reply(3)).say_said(1, 1, reply(1));
        assert_eq!(clean(NAME, &replied.finish()).judged, 4);
    }

    #[test]
    fn a_reply_before_its_parent_is_noticed() {
        let early = talk()
            .send(1, 1)
            .commit(1)
            .accept(1)
            .send_said(2, 1, 1, |_| reply(3))
            .commit(2)
            .accept(2)
            .show(2, 1, 1, 4)
            .show(2, 1, 1, 3);
        violated(NAME, &early.finish());
        violated(NAME, &talk().say_said(2, 1, reply(4)).finish());
    }

    #[test]
    fn a_parent_from_the_time_of_absence_is_excused() {
        let back = talk().change_member(1, 2, false).say(1, 1).change_member(1, 2, true).say_said(
            1,
            1,
            reply(4),
        );
        clean(NAME, &back.finish());
    }
}
