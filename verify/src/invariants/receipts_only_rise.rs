//! **Receipts only rise.** Neither cursor of another member that a device displays ever falls, and a stored
//! cursor is not below what any device displayed before the final read of its conversation began
//! (`stored_began`). read <= delivered; delivered never exceeds what a device
//! of that member has shown (or behind which its stream began). Nobody who never joined a conversation
//! receives its cursors, or has one there. What is displayed or stored of a member its devices had reported
//! (`receipt_sent`) before, or report within a second: delivered and read each for itself. A member at the
//! end whose cursor was displayed by then is among all stored cursors (`stored_cursors_all`) of the conversation. No
//! device displays a cursor of its own user; and none displays anything behind a `detached` of its session,
//! while its user has left for certain, and nobody has asked for a change since.
//!
//! - Judged: receipts sent, displayed and stored.
//! - Excused: in a history of format 1, a fall between two sessions of the observer, what was reported, and
//!   who displays it. Beyond 4 million (observer, conversation, member) only the bounds are judged.
//! - Broken by: a display that goes back from 7 to 5. Not by: the same receipt displayed twice.
//!
//! Streaming: 24 bytes per (observing device, conversation, member), 8 per (user, conversation).

use super::Check;
use crate::history::event::{Event, What};
use crate::misplaced::misplaced;
use crate::state::members::Standing;
use crate::state::merge::Slots;
use crate::state::recent::About;
use crate::state::{State, Step, short};
use crate::tally::Tally;
use crate::unreported::Unreported;
use protocol::Sequence;
use std::collections::{BTreeMap, BTreeSet};

/// Observed cursors that are kept.
const MOST: usize = 1 << 22;

#[derive(Clone, Copy, Default)]
struct Cursors {
    session: u32,
    delivered: u32,
    read: u32,
}

#[derive(Default)]
pub(crate) struct Invariant {
    unreported: Unreported,
    /// Whose cursor is stored, by (member, conversation).
    stored: BTreeSet<(u32, usize)>,
    /// By (observing device and conversation, member).
    observed: BTreeMap<(u32, u32), Cursors>,
    /// The highest that anybody was told, by (member, conversation).
    told: BTreeMap<(u32, usize), Cursors>,
    unjudged: u64,
}

impl Check for Invariant {
    fn observe(&mut self, state: &State, step: &Step, event: &Event, tally: &mut Tally) {
        let (member, delivered, read) = match event.is {
            What::ReceiptSent { delivered, read, .. } => {
                (state.pairs.members[step.who as usize].user, delivered, read)
            }
            What::ReceiptSeen { user, delivered, read, .. }
            | What::StoredCursor { user, delivered, read, .. } => {
                (user.0 as u32 - 1, delivered, read)
            }
            What::StoredCursorsAll { .. } => return self.missing(state, step, tally),
            _ => return,
        };
        tally.judged += 1;
        let device = event.is.device().map(|_| step.device);
        if matches!(event.is, What::StoredCursor { .. }) {
            self.stored.insert((member, step.conversation));
        }
        if state.header.format >= 2 {
            let cursors = [short(delivered), short(read)];
            if matches!(event.is, What::ReceiptSent { .. }) {
                self.unreported.report(state, step);
            } else {
                self.unreported.tell(state, step, device, (member, cursors), tally);
            }
        }
        let fault = Self::beyond(state, step, event, member, delivered, read)
            .or_else(|| misplaced(state, step, event))
            .or_else(|| self.fallen(state, step, event, (member, short(delivered), short(read))));
        if let Some(fault) = fault {
            let about = About { device, conversation: Some(step.conversation), ..About::default() };
            tally.violated(state, about, || {
                format!(
                    "user {} in conversation {}: delivered {delivered}, read {read}: {fault}",
                    member + 1,
                    step.conversation + 1
                )
            });
        }
    }

    fn merge(&mut self, other: Self, slots: &Slots, _: &State, _: &mut Tally) {
        self.unreported.merge(other.unreported);
        let observed = other.observed.into_iter();
        self.observed.extend(observed.map(|((pair, member), c)| ((slots.pair(pair), member), c)));
        self.unjudged += other.unjudged;
    }

    fn finish(&mut self, state: &State, tally: &mut Tally) {
        self.unreported.finish(tally);
        let mut strangers = BTreeSet::new();
        for &(pair, member) in self.observed.keys() {
            let who = &state.pairs.members[(pair / state.header.devices_per_user) as usize];
            for user in [who.user, member] {
                strangers.insert((user, who.conversation));
            }
        }
        for (user, conversation) in strangers {
            let log = &state.logs[conversation as usize];
            let who = state.pairs.find(user, conversation);
            let joined = who.is_some_and(|who| state.pairs.members[who as usize].ever_joined());
            if joined || log.known_from(log.head).is_none_or(|from| from > 1) {
                continue;
            }
            let about = About { conversation: Some(conversation as usize), ..About::default() };
            tally.violated(state, about, || {
                format!(
                    "receipts of conversation {} were told to or about user {}, who never joined it",
                    conversation + 1,
                    user + 1
                )
            });
        }
        tally.judged -= self.unjudged;
        tally.excuse("judged for their bounds only", self.unjudged);
    }
}

impl Invariant {
    /// All stored cursors of a conversation were read: whoever was told of is among them.
    fn missing(&self, state: &State, step: &Step, tally: &mut Tally) {
        let log = &state.logs[step.conversation];
        for &who in state.pairs.of_conversation(step.conversation) {
            let user = state.pairs.members[who as usize].user;
            let at = (user, step.conversation);
            let Some(told) = self.told.get(&at).filter(|_| !self.stored.contains(&at)) else {
                continue;
            };
            let is_member =
                log.whole == Some(true) && state.standing(who, log.head) == Standing::Member;
            if told.delivered > 0 && is_member {
                let conversation = Some(step.conversation);
                tally.violated(state, About { conversation, ..About::default() }, || {
                    format!(
                        "user {} in conversation {}: delivered {}, read {} was told, and nothing is stored",
                        user + 1,
                        step.conversation + 1,
                        told.delivered,
                        told.read
                    )
                });
            }
        }
    }

    fn beyond(
        state: &State,
        step: &Step,
        event: &Event,
        member: u32,
        delivered: Sequence,
        read: Sequence,
    ) -> Option<String> {
        if read > delivered {
            return Some("more was read than delivered".to_owned());
        }
        let last = if matches!(event.is, What::ReceiptSent { .. }) {
            step.before.known.then_some(step.before.last)?
        } else {
            let who = state.pairs.find(member, step.conversation as u32)?;
            state.pairs.last_of(who)?
        };
        (short(delivered) > last).then(|| format!("no more than {last} was shown"))
    }

    fn fallen(
        &mut self,
        state: &State,
        step: &Step,
        event: &Event,
        (member, delivered, read): (u32, u32, u32),
    ) -> Option<String> {
        let told = match event.is {
            What::ReceiptSeen { .. } => {
                if state.read_began(step.conversation).is_none() {
                    let told = self.told.entry((member, step.conversation)).or_default();
                    told.delivered = told.delivered.max(delivered);
                    told.read = told.read.max(read);
                }
                let key = (step.pair, member);
                if self.observed.len() >= MOST && !self.observed.contains_key(&key) {
                    self.unjudged += 1;
                    return None;
                }
                let session = state.devices[step.device].session;
                let now = Cursors { session, delivered, read };
                let before = self.observed.insert(key, now)?;
                if before.session != session && state.header.format < 2 {
                    return None;
                }
                before
            }
            What::StoredCursor { .. } => *self.told.get(&(member, step.conversation))?,
            _ => return None,
        };
        (delivered < told.delivered || read < told.read)
            .then(|| format!("it was delivered {}, read {} before", told.delivered, told.read))
    }
}

#[cfg(test)]
mod tests {
    use crate::history::What;
    use crate::history::builder::Builder;
    use crate::history::event::Phase;
    use crate::invariants::tests::{clean, violated};
    use protocol::{ConversationId, Sequence, UserId};

    const NAME: &str = "receipts_only_rise";

    fn seen(builder: Builder, delivered: u64, read: u64) -> Builder {
        let device = builder.device(1, 1);
        builder.push(What::ReceiptSeen {
            device,
            conversation: ConversationId(1),
            user: UserId(2),
            delivered: Sequence(delivered),
            read: Sequence(read),
        })
    }

    fn stored(builder: Builder, delivered: u64, read: u64) -> Builder {
        builder.push(What::StoredCursor {
            conversation: ConversationId(1),
            user: UserId(2),
            delivered: Sequence(delivered),
            read: Sequence(read),
        })
    }

    fn reported(builder: Builder, user: u64, delivered: u64, read: u64) -> Builder {
        let device = builder.device(user, 1);
        let (conversation, delivered, read) =
            (ConversationId(1), Sequence(delivered), Sequence(read));
        builder.push(What::ReceiptSent { device, conversation, delivered, read })
    }

    fn talk() -> Builder {
        let talk = Builder::new(2, 1).group(1, &[1, 2]).connect_all().say(1, 1).say(1, 1);
        reported(talk, 2, 4, 3)
    }

    #[test]
    fn what_nobody_reported_is_noticed() {
        let unreported = || {
            let talk = Builder::new(2, 1).group(1, &[1, 2]).connect_all().say(1, 1).say(1, 1);
            reported(talk, 2, 3, 2)
        };
        clean(NAME, &stored(seen(unreported(), 3, 2), 3, 2).finish());
        violated(NAME, &seen(unreported(), 4, 2).finish());
        violated(NAME, &seen(unreported(), 3, 3).finish());
        violated(NAME, &stored(unreported(), 4, 2).finish());
        // The record of a report may come a moment after what came of it.
        clean(NAME, &reported(seen(unreported(), 4, 2), 2, 4, 2).finish());
        violated(NAME, &reported(seen(unreported(), 4, 2).wait(1_000_000), 2, 4, 2).finish());
        let mut old = seen(unreported(), 4, 2).finish();
        old.header.format = 1;
        clean(NAME, &old);
    }

    #[test]
    fn what_is_displayed_while_the_final_read_goes_on_may_not_be_in_it() {
        let at = |began_first: bool| {
            let (conversation, user) = (ConversationId(1), UserId(2));
            let began = What::StoredBegan { conversation };
            let early = stored(seen(talk(), 3, 3), 3, 3).phase(Phase::Judge);
            let late = if began_first {
                seen(early.push(began), 4, 3)
            } else {
                seen(early, 4, 3).push(began)
            };
            let (delivered, read) = (Sequence(3), Sequence(3));
            late.push(What::StoredCursor { conversation, user, delivered, read }).finish()
        };
        clean(NAME, &at(true));
        violated(NAME, &at(false));
    }

    #[test]
    fn cursors_that_are_stored_nowhere_are_noticed() {
        let end = |told: Builder, is_stored: bool, is_read: bool| {
            let mut history = told.finish();
            let end = history.events.pop().expect("the end");
            let user = UserId(2);
            let (conversation, delivered, read) = (ConversationId(1), Sequence(4), Sequence(3));
            let cursor = What::StoredCursor { conversation, user, delivered, read };
            let all = What::StoredCursorsAll { conversation };
            let at = end.at;
            let push = |is| crate::history::Event { at, is };
            history.events.extend(is_stored.then(|| push(cursor)));
            history.events.extend(is_read.then(|| push(all)));
            history.events.push(end);
            history
        };
        let told = || seen(talk(), 4, 3);
        clean(NAME, &end(told(), true, true));
        clean(NAME, &end(told(), false, false));
        violated(NAME, &end(told(), false, true));
        clean(NAME, &end(talk(), false, true));
        clean(NAME, &end(told().change_member(1, 2, false), false, true));
    }

    #[test]
    fn own_receipts_are_told_to_nobody() {
        let own = reported(talk(), 1, 4, 4);
        let device = own.device(1, 1);
        let (conversation, user) = (ConversationId(1), UserId(1));
        let (delivered, read) = (Sequence(4), Sequence(4));
        let told = What::ReceiptSeen { device, conversation, user, delivered, read };
        let mut history = own.push(told).finish();
        violated(NAME, &history);
        history.header.format = 1;
        clean(NAME, &history);
    }

    #[test]
    fn who_has_left_and_was_detached_is_told_nothing() {
        let (conversation, user) = (ConversationId(1), UserId(1));
        let detached = |run: Builder| {
            let device = run.device(1, 1);
            run.push(What::Detached { device, conversation })
        };
        let left = || detached(talk().change_member(1, 1, false));
        violated(NAME, &seen(left(), 4, 3).finish());
        clean(NAME, &seen(talk().change_member(1, 1, false), 4, 3).finish());
        let asked = |add| What::MemberAsked { conversation, user, add };
        clean(NAME, &seen(left().push(asked(true)), 4, 3).finish());
        clean(NAME, &seen(left().change_member(1, 1, true), 4, 3).finish());
        // Before the stream has begun again the user is gone once more.
        let twice = left().change_member(1, 1, true).change_member(1, 1, false);
        clean(NAME, &seen(twice, 4, 3).finish());
        clean(NAME, &seen(left().lose(1, 1).open(1, 1), 4, 3).finish());
    }

    #[test]
    fn rising_cursors_are_clean() {
        let risen = seen(seen(seen(talk(), 3, 2), 3, 3), 4, 3);
        assert_eq!(clean(NAME, &stored(risen, 4, 3).finish()).judged, 5);
    }

    #[test]
    fn a_display_that_goes_back_is_noticed() {
        violated(NAME, &seen(seen(talk(), 4, 3), 3, 3).finish());
        let mut back = seen(seen(talk(), 4, 3).lose(1, 1).connect(1, 1), 3, 3).finish();
        violated(NAME, &back);
        back.header.format = 1;
        clean(NAME, &back);
    }

    #[test]
    fn receipts_of_strangers_are_noticed() {
        let strange = Builder::new(3, 1).group(1, &[1, 2]).connect_all().say(1, 1);
        let device = strange.device(3, 1);
        let told = What::ReceiptSeen {
            device,
            conversation: ConversationId(1),
            user: UserId(2),
            delivered: Sequence(3),
            read: Sequence(3),
        };
        violated(NAME, &strange.push(told).finish());
    }

    #[test]
    fn a_stored_cursor_below_what_was_told_is_noticed() {
        violated(NAME, &stored(seen(talk(), 4, 0), 3, 0).finish());
    }

    #[test]
    fn more_than_was_shown_or_delivered_is_noticed() {
        violated(NAME, &seen(talk(), 5, 0).finish());
        violated(NAME, &seen(talk(), 3, 4).finish());
    }

    #[test]
    fn a_device_that_reports_more_than_it_showed_is_noticed() {
        let builder = talk();
        let device = builder.device(2, 1);
        let conversation = ConversationId(1);
        let (delivered, read) = (Sequence(9), Sequence(0));
        let sent = What::ReceiptSent { device, conversation, delivered, read };
        violated(NAME, &builder.push(sent).finish());
    }
}
