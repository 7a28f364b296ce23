//! **Nothing is delivered twice.** A device shows each (conversation, sequence) at most once; within
//! one stream nothing arrives at or below a sequence that has arrived in it or behind which it began; and
//! no message (author, id) is seen under two sequences of its conversation.
//!
//! - What was received without being shown has arrived, too; without a stream nothing may arrive.
//! - Judged: entries shown, and entries received that were not shown.
//! - Excused: nothing.
//! - Broken by: a stream that carries 5, 6, 5. Not by: a new stream that begins behind 4 on a device
//!   that has shown 6, and carries 5 and 6 again, which the device drops.
//!
//! Streaming: what a device has shown is a set of intervals (one interval, 16 bytes, in a sound run);
//! the ledger holds the sequence under which each send was first seen.

use super::{Check, about_entry};
use crate::ground::{Ground, Step};
use crate::history::event::{Event, What};
use crate::tally::Tally;

#[derive(Default)]
pub(crate) struct Invariant;

impl Check for Invariant {
    fn observe(&mut self, ground: &Ground, step: &Step, event: &Event, tally: &mut Tally) {
        let Some(entry) = super::entry_of(&event.is) else { return };
        let shown = matches!(event.is, What::Shown { .. });
        let again = matches!(event.is, What::Received { .. });
        tally.judged += u64::from(shown || again);
        if again {
            tally.violated(ground, about_entry(step, entry), || {
                format!(
                    "sequence {} of conversation {} arrived in a stream on {} that had got to {}",
                    entry.sequence,
                    entry.conversation,
                    ground.device_name(step.device),
                    step.before.last
                )
            });
        } else if shown && step.was_shown {
            tally.violated(ground, about_entry(step, entry), || {
                format!(
                    "{} showed sequence {} of conversation {} a second time",
                    ground.device_name(step.device),
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
            tally.violated(ground, about, || {
                format!(
                    "message {} is sequence {} and sequence {} of conversation {}",
                    ground.message_name(entry.author.0, entry.message.0),
                    record.seen,
                    entry.sequence,
                    entry.conversation
                )
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::history::builder::Builder;
    use crate::invariants::tests::{clean, violated};

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
    fn a_resend_that_is_sequenced_a_second_time_is_noticed() {
        let twice = talk().commit(1).deliver(1).finish();
        let finding = violated(NAME, &twice);
        assert!(finding.evidence[0].what.contains("sequence 3 and sequence 4"), "{finding:?}");
    }
}
