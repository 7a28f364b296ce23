//! **Own messages are visible.** After A(m, q), a read of the conversation that a device of the same
//! user begins names a head of at least q, and contains an entry at q if it covers q and the user is a
//! member at q (unless retention removed it).
//!
//! - A read covers what lies behind `after` up to its last entry, or up to the head if it is whole.
//! - Judged: reads of a user to whom an own message had been accepted.
//! - Excused: a hole in a read where it stays unknown whether the user was a member is a reason for an
//!   unknown verdict. Whose a hole was that is compacted is not known any more;
//!   `reads_never_go_back` judges it.
//! - Broken by: a read that ends before an own message and is whole. Not by: one that ends there because
//!   its page was full.
//!
//! Streaming: the highest own accepted sequence per (user, conversation) is taken along with each
//! read; only if entries are missing the ledger is searched.

use super::Check;
use crate::history::event::{Event, What};
use crate::state::merge::Slots;
use crate::state::recent::About;
use crate::state::{State, Step, short};
use crate::suspicions::Suspicions;
use crate::tally::Tally;

#[derive(Default)]
pub(crate) struct Invariant {
    missing: Suspicions,
}

impl Check for Invariant {
    fn observe(&mut self, state: &State, step: &Step, event: &Event, tally: &mut Tally) {
        let What::ReadEnded { conversation, head, whole, .. } = &event.is else { return };
        let Some(read) = step.read.as_ref().filter(|read| read.own > 0) else { return };
        tally.judged += 1;
        let head = short(*head);
        let about = |sequence| About {
            device: Some(step.device),
            conversation: Some(step.conversation),
            sequence: Some(sequence),
            ..About::default()
        };
        let name = || state.device_name(step.device);
        if head < read.own {
            tally.violated(state, about(read.own), || {
                format!(
                    "{} read conversation {conversation} with head {head}, after an own message was \
                     accepted as {}",
                    name(),
                    read.own
                )
            });
        }
        let high = read.covers(head, *whole).min(read.own);
        let user = state.pairs.members[step.who as usize].user;
        let log = &state.logs[step.conversation];
        read.entries.for_each_gap(read.after + 1, high, |(low, high)| {
            // Whose it was is not known any more; that it is missing is for `reads_never_go_back`.
            tally.compacted(log.compacted_in(low, high));
            let own = state.ledger.of_user(user).filter(|record| {
                record.conversation as usize == step.conversation
                    && (low..=high).contains(&record.acked)
                    && !read.accepted_since.contains(&record.acked)
            });
            for hole in own.map(|record| record.acked) {
                self.missing.add(state, step.who, (hole, hole), 0, about(hole), || {
                    format!("{} read conversation {conversation} without its own {hole}", name())
                });
            }
        });
    }

    fn merge(&mut self, other: Self, slots: &Slots, _: &State, _: &mut Tally) {
        self.missing.merge(other.missing, slots);
    }

    fn finish(&mut self, state: &State, tally: &mut Tally) {
        self.missing.resolve(state, tally);
    }
}

#[cfg(test)]
mod tests {
    use crate::history::What;
    use crate::history::builder::Builder;
    use crate::invariants::tests::{clean, violated};

    const NAME: &str = "own_message_visible";

    fn talk() -> Builder {
        Builder::new(2, 1).group(1, &[1, 2]).connect_all().say(1, 1).say(2, 1).read(1, 1, 1, 0)
    }

    #[test]
    fn a_read_with_all_own_messages_is_clean() {
        assert_eq!(clean(NAME, &talk().finish()).judged, 1);
    }

    #[test]
    fn a_stale_read_is_noticed() {
        let stale = talk().finish().tampered(|events| {
            events.retain(|e| !matches!(&e.is, What::Read { entry, .. } if entry.sequence.0 > 2));
            for event in events {
                if let What::ReadEnded { head, .. } = &mut event.is {
                    head.0 = 2;
                }
            }
        });
        violated(NAME, &stale);
    }

    #[test]
    fn a_read_that_leaves_an_own_message_out_is_noticed() {
        let hole = talk().finish().tampered(|events| {
            events.retain(|e| !matches!(&e.is, What::Read { entry, .. } if entry.sequence.0 == 3));
        });
        violated(NAME, &hole);
    }

    #[test]
    fn a_page_that_ends_before_the_own_message_is_excused() {
        let page = talk().finish().tampered(|events| {
            events.retain(|e| !matches!(&e.is, What::Read { entry, .. } if entry.sequence.0 > 2));
            for event in events {
                if let What::ReadEnded { whole, .. } = &mut event.is {
                    *whole = false;
                }
            }
        });
        clean(NAME, &page);
    }
}
