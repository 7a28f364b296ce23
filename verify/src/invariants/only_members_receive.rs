//! **Only members receive.** D(d, m, q), an entry received and dropped, or an answer to a read that
//! contains q => the user of d is a member at q: joined <= q < left.
//!
//! - Judged: entries shown, received and read.
//! - Excused: where the log was not read and no join is known, or a change was asked for without an
//!   answer, a sequence is not judged.
//! - Broken by: a device that shows what came after its user had left. Not by: one that shows the
//!   entry of its user's own join.
//!
//! Streaming: joins and departures are learned from entries and from `member_changed`, often later than
//! what they forbid; so all is judged at the end. The intervals that each device has shown, 16 bytes.

use super::{Check, about_entry};
use crate::history::event::{Event, What};
use crate::state::intervals::Intervals;
use crate::state::members::Standing;
use crate::state::merge::Slots;
use crate::state::recent::About;
use crate::state::{State, Step};
use crate::tally::Tally;
use crate::verdict::Evidence;
use std::collections::BTreeMap;

/// Early evidence that is kept.
const MOST_EARLY: usize = 64;

#[derive(Default)]
pub(crate) struct Invariant {
    /// What arrived without being shown, by user and conversation. There is none in most runs.
    dropped: BTreeMap<u32, Intervals>,
    early: BTreeMap<(u32, u32), Evidence>,
}

impl Check for Invariant {
    fn observe(&mut self, state: &State, step: &Step, event: &Event, _: &mut Tally) {
        let (What::Shown { entry, .. } | What::Received { entry, .. } | What::Read { entry, .. }) =
            &event.is
        else {
            return;
        };
        if matches!(event.is, What::Received { .. }) {
            self.dropped.entry(step.who).or_default().insert(step.sequence);
        }
        if state.standing(step.who, step.sequence) == Standing::Outside
            && self.early.len() < MOST_EARLY
        {
            let what = sentence(state, step.who, step.sequence);
            let evidence = state.evidence(what, about_entry(step, entry));
            self.early.insert((step.who, step.sequence), evidence);
        }
    }

    fn compact(&mut self, state: &State, conversation: usize, to: u32, tally: &mut Tally) {
        for &who in state.pairs.of_conversation(conversation) {
            let member = &state.pairs.members[who as usize];
            if state.is_inside(who, &member.read, to) {
                tally.judged += member.read.count(to);
            }
            if let Some(dropped) = self.dropped.get_mut(&who)
                && state.is_inside(who, dropped, to)
            {
                tally.judged += dropped.count(to);
                dropped.forget(to);
            }
        }
    }

    fn merge(&mut self, other: Self, slots: &Slots, _: &State, _: &mut Tally) {
        let at = |who| slots.member(who);
        self.dropped.extend(other.dropped.into_iter().map(|(who, dropped)| (at(who), dropped)));
        let early = other.early.into_iter();
        self.early.extend(early.map(|((who, sequence), early)| ((at(who), sequence), early)));
    }

    fn finish(&mut self, state: &State, tally: &mut Tally) {
        for (pair, slot) in state.pairs.iter() {
            self.judge(state, pair / state.header.devices_per_user, &slot.shown, tally);
        }
        for (who, member) in (0..).zip(&state.pairs.members) {
            self.judge(state, who, &member.read, tally);
        }
        for (who, dropped) in std::mem::take(&mut self.dropped) {
            self.judge(state, who, &dropped, tally);
        }
    }
}

impl Invariant {
    fn judge(&mut self, state: &State, who: u32, received: &Intervals, tally: &mut Tally) {
        let member = &state.pairs.members[who as usize];
        let conversation = member.conversation as usize;
        let log = &state.logs[conversation];
        // The final read says nothing about what came behind its head.
        let parts = received.all().into_iter().flat_map(|(low, high)| {
            let known = (low <= log.head).then(|| (low, high.min(log.head)));
            let behind = (high > log.head).then(|| (low.max(log.head + 1), high));
            known.into_iter().chain(behind)
        });
        for (low, high) in parts {
            tally.judged += u64::from(high - low) + 1;
            let outside = member.outside(low, high, log.known_from(high));
            let Some((first, count)) = outside else { continue };
            let early = self.early.remove(&(who, first));
            tally.confirmed(|| {
                early.unwrap_or_else(|| {
                    let about = About {
                        conversation: Some(conversation),
                        sequence: Some(first),
                        ..About::default()
                    };
                    state.evidence(sentence(state, who, first), about)
                })
            });
            tally.violations += count - 1;
        }
    }
}

fn sentence(state: &State, who: u32, sequence: u32) -> String {
    let member = &state.pairs.members[who as usize];
    format!(
        "user {} received sequence {sequence} of conversation {} and was no member there",
        member.user + 1,
        member.conversation + 1
    )
}

#[cfg(test)]
mod tests {
    use crate::history::builder::Builder;
    use crate::invariants::tests::{clean, violated};

    const NAME: &str = "only_members_receive";

    fn left() -> Builder {
        Builder::new(3, 1)
            .group(1, &[1, 2, 3])
            .connect_all()
            .say(1, 1)
            .change_member(1, 3, false)
            .say(1, 1)
    }

    #[test]
    fn members_only_is_clean() {
        assert!(clean(NAME, &left().finish()).judged >= 7);
        clean(NAME, &left().read(3, 1, 1, 0).finish());
    }

    #[test]
    fn an_entry_after_the_departure_is_noticed() {
        let finding = violated(NAME, &left().show(3, 1, 1, 6).finish());
        assert!(finding.evidence[0].what.contains("user 3 received sequence 6"), "{finding:?}");
    }

    #[test]
    fn an_entry_for_somebody_who_never_joined_is_noticed() {
        let talk = Builder::new(3, 1).group(1, &[1, 2]).connect_all().say(1, 1);
        violated(NAME, &talk.show(3, 1, 1, 3).finish());
    }
}
