//! **Nothing is delivered twice.** A device shows each (conversation, sequence) at most once; within
//! one stream nothing arrives at or below a sequence that has arrived in it or behind which it began; and
//! no message (author, id) is seen under two sequences of its conversation. A stream that begins again
//! within its session, without a `detached` in between, does not begin behind less than has arrived in it.
//!
//! - What was received without being shown has arrived, too; without a stream nothing may arrive.
//! - Judged: entries shown, and entries received that were not shown.
//! - Excused: in a history of format 1, a stream that begins again. Of a
//!   message that was compacted and is seen at a later sequence only that is known.
//! - Broken by: a stream that carries 5, 6, 5. Not by: a new stream that begins behind 4 on a device
//!   that has shown 6, and carries 5 and 6 again, which the device drops.
//!
//! Streaming: what a device has shown is a set of intervals (one interval, 16 bytes, in a sound run); of a
//! stream that began further back than the device had got, how far it has come; the ledger holds the sequence under which each send was first seen.

use super::{Check, about_entry};
use crate::history::event::{Event, What};
use crate::state::recent::About;
use crate::state::{State, Step, short};
use crate::tally::Tally;
use protocol::ConversationId;
use std::collections::BTreeMap;

#[derive(Default)]
pub(crate) struct Invariant {
    /// How far the present stream of a (device, conversation) has come, where that is not as far as the
    /// device: it began further back.
    arrived: BTreeMap<u32, u32>,
}

impl Check for Invariant {
    fn observe(&mut self, state: &State, step: &Step, event: &Event, tally: &mut Tally) {
        if let What::Attached { conversation, from, .. } = event.is {
            self.goes_back(state, step, conversation, short(from), tally);
            self.arrived.remove(&step.pair);
            if short(from) < step.before.last {
                self.arrived.insert(step.pair, short(from));
            }
            return;
        }
        let Some(entry) = super::entry_of(&event.is) else { return };
        let shown = matches!(event.is, What::Shown { .. });
        let received = matches!(event.is, What::Received { .. });
        tally.judged += u64::from(shown || received);
        let again = received && self.was_here(state, step);
        if shown || received {
            self.arrives(step, received);
        }
        if again {
            tally.violated(state, about_entry(step, entry), || {
                format!(
                    "sequence {} of conversation {} arrived in a stream on {} that had got to {}",
                    entry.sequence,
                    entry.conversation,
                    state.device_name(step.device),
                    step.before.last
                )
            });
        } else if shown && step.was_shown {
            tally.violated(state, about_entry(step, entry), || {
                format!(
                    "{} showed sequence {} of conversation {} a second time",
                    state.device_name(step.device),
                    entry.sequence,
                    entry.conversation
                )
            });
        } else if let Some((_, record)) = step.send
            && record.conversation as usize == step.conversation
            && record.seen != 0
            && record.seen != step.sequence
        {
            let mut about = about_entry(step, entry);
            about.other = Some(record.seen);
            tally.violated(state, about, || {
                format!(
                    "message {} is sequence {} and sequence {} of conversation {}",
                    state.message_name(entry.author.0, entry.message.0),
                    record.seen,
                    entry.sequence,
                    entry.conversation
                )
            });
        } else if step.is_old_send && !step.is_compacted {
            tally.violated(state, about_entry(step, entry), || {
                format!(
                    "message {} is sequence {} of conversation {}, and was compacted under another \
                     one, or never sent",
                    state.message_name(entry.author.0, entry.message.0),
                    entry.sequence,
                    entry.conversation
                )
            });
        }
    }
}

impl Invariant {
    /// A stream begins: if it was there already, what has arrived in it does not come again.
    fn goes_back(
        &self,
        state: &State,
        step: &Step,
        conversation: ConversationId,
        from: u32,
        tally: &mut Tally,
    ) {
        let device = &state.devices[step.device];
        let was_there = device.open && step.before.session == device.session;
        let arrived = self.so_far(step);
        if !was_there || from >= arrived || state.header.format < 2 {
            return;
        }
        let about = About {
            device: Some(step.device),
            conversation: Some(step.conversation),
            sequence: Some(arrived),
            ..About::default()
        };
        tally.violated(state, about, || {
            format!(
                "the stream of conversation {conversation} on {} began again behind {from} in the \
                 same session, and had got to {arrived}",
                state.device_name(step.device)
            )
        });
    }

    fn so_far(&self, step: &Step) -> u32 {
        self.arrived.get(&step.pair).copied().unwrap_or(step.before.last)
    }

    /// Whether an entry had arrived in its stream before, or lies behind its beginning.
    fn was_here(&self, state: &State, step: &Step) -> bool {
        !state.is_attached(step.pair) || step.sequence <= self.so_far(step)
    }

    fn arrives(&mut self, step: &Step, received: bool) {
        if received || self.arrived.contains_key(&step.pair) {
            let arrived = self.so_far(step).max(step.sequence);
            self.arrived.insert(step.pair, arrived);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::history::What;
    use crate::history::builder::Builder;
    use crate::invariants::tests::{clean, violated};
    use protocol::{ConversationId, Sequence};

    const NAME: &str = "no_duplicate_delivery";

    fn talk() -> Builder {
        Builder::new(2, 1).group(1, &[1, 2]).connect_all().say(1, 1)
    }

    #[test]
    fn each_once_is_clean() {
        assert_eq!(clean(NAME, &talk().say(2, 1).finish()).judged, 4);
    }

    #[test]
    fn a_sequence_shown_twice_is_noticed_also_after_a_reconnect() {
        violated(NAME, &talk().show(2, 1, 1, 3).finish());
        violated(NAME, &talk().say(1, 1).lose(2, 1).connect(2, 1).show(2, 1, 1, 3).finish());
    }

    #[test]
    fn a_stream_may_begin_further_back_and_carries_nothing_twice() {
        let entry = |run: &Builder, sequence: usize| run.log(1)[sequence - 1];
        let device = talk().device(2, 1);
        let received = |run: Builder, sequence| {
            let entry = entry(&run, sequence);
            run.push(What::Received { device, entry })
        };
        let back = || {
            let (conversation, from, head) = (ConversationId(1), Sequence(2), Sequence(4));
            let again = talk().say(1, 1).lose(2, 1).open(2, 1);
            again.push(What::Attached { device, conversation, from, head })
        };
        clean(NAME, &received(received(back(), 3), 4).say(1, 1).finish());
        violated(NAME, &received(received(back(), 3), 3).finish());
        violated(NAME, &received(back(), 2).finish());
        violated(NAME, &received(talk(), 3).finish());
        let without_stream = talk().lose(2, 1).open(2, 1);
        violated(NAME, &received(without_stream, 3).finish());
    }

    #[test]
    fn a_stream_begins_again_further_back_only_in_another_session() {
        let again = |run: Builder, from: u64| {
            let (device, conversation) = (run.device(2, 1), ConversationId(1));
            let head = Sequence(run.head(1));
            run.push(What::Attached { device, conversation, from: Sequence(from), head })
        };
        violated(NAME, &again(talk(), 2).finish());
        clean(NAME, &again(talk(), 3).finish());
        clean(NAME, &again(talk().lose(2, 1).open(2, 1), 2).finish());
        // The user is back before the device has heard of the departure.
        let back = talk().change_member(1, 2, false).change_member(1, 2, true);
        clean(NAME, &again(back.clone(), 4).deliver(1).finish());
        violated(NAME, &again(again(back, 4), 3).finish());
        let mut old = again(talk(), 2).finish();
        old.header.format = 1;
        clean(NAME, &old);
    }

    #[test]
    fn a_resend_that_is_sequenced_a_second_time_is_noticed() {
        let twice = talk().commit(1).deliver(1).finish();
        let finding = violated(NAME, &twice);
        assert!(finding.evidence[0].what.contains("sequence 3 and sequence 4"), "{finding:?}");
    }
}
