//! **A sender's order is kept.** For sends m and m' of one device in one conversation with
//! id(m) < id(m'), and sequences q and q': q < q'.
//!
//! - Judged: sends with a sequence.
//! - Excused: a send that was refused for now (`rate_limited`, `unavailable`, `unauthorised`) and came
//!   again more than 25 s after the refusal, or twice `idle_us` if that is longer: so long its position is held (docs/protocol.md, "What a
//!   client must do", 3).
//! - Broken by: a later message that is sequenced first, also if the earlier one had been refused for
//!   now and came again in time. Not by: one that came again after 26 s.
//!
//! Streaming: the ledger is in the order of the ids and holds every sequence; one pass at the end
//! compares neighbours, and of the sends that are compacted the highest stay. What looks wrong at the first observation leaves its evidence then.

use super::{Check, about_entry, is_sent};
use crate::history::event::Event;
use crate::state::ledger::{Record, Slot, status};
use crate::state::merge::Slots;
use crate::state::recent::About;
use crate::state::{State, Step};
use crate::tally::Tally;
use crate::verdict::Evidence;
use std::collections::BTreeMap;

/// Records behind a send that are compared with it at once.
const NEAR: u32 = 8;
/// Early evidence that is kept.
const MOST_EARLY: usize = 64;

#[derive(Default)]
pub(crate) struct Invariant {
    early: BTreeMap<(usize, u64), Evidence>,
    /// Of the compacted sends, by (device, conversation).
    compacted: BTreeMap<(usize, u32), Compacted>,
}

/// A send: its id and its sequence.
type Sent = (u64, u32);

/// What is left of the compacted sends of a device in a conversation.
#[derive(Clone, Copy, Default)]
struct Compacted {
    /// The one with the highest id.
    last: Sent,
    /// The one with the highest sequence.
    highest: Sent,
}

impl Check for Invariant {
    fn observe(&mut self, state: &State, step: &Step, event: &Event, _: &mut Tally) {
        let Some((slot, record)) = step.send.filter(|(_, record)| record.seen == 0) else {
            return;
        };
        let Some(entry) = super::entry_of(&event.is).filter(|entry| is_sent(entry)) else { return };
        let sender = slot.sender as usize;
        let records = state.ledger.of_sender(sender).len() as u32;
        for index in slot.index + 1..records.min(slot.index + 1 + NEAR) {
            let later = state.ledger.get(Slot { sender: slot.sender, index });
            let overtaken = later.conversation == record.conversation
                && later.seen != 0
                && later.seen < step.sequence
                && self.early.len() < MOST_EARLY;
            if overtaken {
                let mut about = about_entry(step, entry);
                about.other = Some(later.seen);
                let what =
                    sentence(state, sender, (record.id, step.sequence), (later.id, later.seen));
                self.early.insert((sender, later.id), state.evidence(what, about));
            }
        }
    }

    fn compact_records(
        &mut self,
        state: &State,
        sender: usize,
        gone: &[Record],
        tally: &mut Tally,
    ) {
        for record in gone {
            self.compare(state, sender, record, None, tally);
            let sent = (record.id, sequence(record));
            if !record.is(status::LAPSED) {
                let compacted = self.compacted.entry((sender, record.conversation)).or_default();
                compacted.last = compacted.last.max(sent);
                if sent.1 > compacted.highest.1 {
                    compacted.highest = sent;
                }
            }
        }
    }

    fn merge(&mut self, other: Self, _: &Slots, _: &State, _: &mut Tally) {
        self.early.extend(other.early);
        self.compacted.extend(other.compacted);
    }

    fn finish(&mut self, state: &State, tally: &mut Tally) {
        let mut highest: BTreeMap<u32, Sent> = BTreeMap::new();
        for (sender, records) in state.ledger.by_sender() {
            highest.clear();
            for record in records.iter().filter(|r| sequence(r) != 0) {
                let before = highest.entry(record.conversation).or_default();
                self.compare(state, sender, record, Some(*before), tally);
                if before.1 < sequence(record) && !record.is(status::LAPSED) {
                    *before = (record.id, sequence(record));
                }
            }
        }
    }
}

impl Invariant {
    /// Compares a send with those before it: the highest one that is known of the present ones, and the
    /// compacted ones.
    fn compare(
        &mut self,
        state: &State,
        sender: usize,
        record: &Record,
        present: Option<Sent>,
        tally: &mut Tally,
    ) {
        if record.is(status::LAPSED) {
            tally.excuse("came again after its position was given up", 1);
            return;
        }
        tally.judged += 1;
        let sent = (record.id, sequence(record));
        let mut pair = present.filter(|before| before.1 >= sent.1).map(|before| (before, sent));
        if let Some(compacted) = self.compacted.get(&(sender, record.conversation)) {
            if sent.0 > compacted.last.0 {
                if compacted.highest.1 >= sent.1 {
                    pair = Some((compacted.highest, sent));
                }
            } else if compacted.last.1 <= sent.1 {
                // It was sequenced behind a later one that everybody has.
                pair = Some((sent, compacted.last));
            } else if compacted.highest.1 > compacted.last.1 {
                tally.compacted(1);
            }
        }
        let Some((first, second)) = pair else { return };
        let about = About { other: Some(first.1), ..state.about_send(sender, record) };
        let early = self.early.remove(&(sender, record.id));
        tally.confirmed(|| {
            early.unwrap_or_else(|| state.evidence(sentence(state, sender, first, second), about))
        });
    }
}

/// Where a send ended up: as it was seen, or else as its sender was told.
const fn sequence(record: &Record) -> u32 {
    if record.seen == 0 { record.acked } else { record.seen }
}

fn sentence(state: &State, sender: usize, first: Sent, second: Sent) -> String {
    let [one, other] = [first.0, second.0].map(|id| state.name_of(sender, id));
    format!(
        "message {one} was sent before {other}, and they are sequences {} and {}",
        first.1, second.1
    )
}

#[cfg(test)]
mod tests {
    use crate::history::What;
    use crate::history::builder::Builder;
    use crate::invariants::tests::{clean, violated};
    use protocol::{ClientMessageId, ConversationId, RejectReason};

    const NAME: &str = "sender_order_kept";

    fn overtaken(between: impl FnOnce(Builder) -> Builder) -> Builder {
        let sent = Builder::new(2, 1).group(1, &[1, 2]).connect_all().send(1, 1).send(1, 1);
        between(sent)
            .commit_message(1, 2)
            .commit_message(1, 1)
            .accept_message(1, 2)
            .accept_message(1, 1)
            .deliver(1)
    }

    #[test]
    fn sends_in_their_order_are_clean() {
        let talk = Builder::new(2, 1).group(1, &[1, 2]).connect_all().say(1, 1).say(2, 1).say(1, 1);
        assert_eq!(clean(NAME, &talk.finish()).judged, 3);
    }

    #[test]
    fn a_later_message_that_overtakes_is_noticed() {
        let finding = violated(NAME, &overtaken(|b| b).finish());
        assert!(finding.evidence[0].what.contains("sequences 4 and 3"), "{finding:?}");
        assert!(!finding.evidence[0].history.is_empty());
    }

    fn refused_for(waited: u64) -> Builder {
        overtaken(|builder| {
            let device = builder.device(1, 1);
            let (conversation, message) = (ConversationId(1), ClientMessageId(1));
            let reason = RejectReason::RateLimited;
            builder
                .push(What::Rejected { device, conversation, message, reason })
                .wait(waited)
                .push(What::Resent { device, conversation, message })
        })
    }

    #[test]
    fn the_place_of_a_message_that_was_refused_for_now_is_held_for_25_s() {
        clean(NAME, &refused_for(26_000_000).finish());
        violated(NAME, &refused_for(24_000_000).finish());
        let mut slower = refused_for(29_000_000).finish();
        slower.header.idle_us = Some(15_000_000);
        violated(NAME, &slower);
    }
}
