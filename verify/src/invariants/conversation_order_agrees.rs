//! **Everybody sees the same order.** The same (conversation, sequence) is the same entry (author, id
//! and content) on every device (shown, or received and dropped), in every read and in the store.
//!
//! - Judged: observations of entries.
//! - Excused: what is seen again on a device or in a read after compaction, but for one sequence in eight (in a long
//!   conversation one in more), which is compared all the same.
//!   In the final read compacted entries are compared by their sum, unless some of them are missing.
//! - Broken by: a device that receives, at a sequence that it has shown, another entry. Not by: the same
//!   entry under a later epoch.
//!
//! Streaming: the first observation of each sequence leaves a 32-bit fingerprint in the log; every
//! later one is compared with it. 4 bytes per sequenced entry, until it is compacted, and nothing is sampled.

use super::{Check, about_entry};
use crate::history::event::{Event, What};
use crate::state::recent::About;
use crate::state::{State, Step};
use crate::tally::Tally;

#[derive(Default)]
pub(crate) struct Invariant;

impl Check for Invariant {
    fn observe(&mut self, state: &State, step: &Step, event: &Event, tally: &mut Tally) {
        let Some(entry) = super::entry_of(&event.is) else { return };
        let is_stored = matches!(event.is, What::Stored { .. });
        let sample = step.sample.filter(|_| !is_stored).unwrap_or(0);
        if step.is_compacted && !is_stored && sample == 0 {
            tally.compacted(1);
            return;
        }
        tally.judged += 1;
        let before = if step.is_compacted { sample } else { step.log.seen };
        if before != 0 && before != step.fingerprint {
            tally.violated(state, about_entry(step, entry), || {
                format!(
                    "sequence {} of conversation {} is message {} here, and was something else \
                     before",
                    entry.sequence,
                    entry.conversation,
                    state.message_name(entry.author.0, entry.message.0)
                )
            });
        }
    }

    fn finish(&mut self, state: &State, tally: &mut Tally) {
        for (conversation, log) in state.logs.iter().enumerate() {
            // Only what is there can be something else.
            if log.compacted_to() == 0 || log.compacted.has_all() || log.whole != Some(true) {
                continue;
            }
            let mut is_whole = true;
            log.compacted.stored.for_each_hole(1, log.compacted_to(), |hole| {
                is_whole &= !log.is_compacted(hole);
            });
            if !is_whole {
                tally.compacted(1);
                continue;
            }
            let about = About {
                conversation: Some(conversation),
                sequence: Some(log.compacted_to()),
                ..About::default()
            };
            tally.violated(state, about, || {
                format!(
                    "the first {} entries of conversation {} are others in the store than everybody \
                     had shown",
                    log.compacted_to(),
                    conversation + 1
                )
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::history::What;
    use crate::history::builder::Builder;
    use crate::history::event::Said;
    use crate::invariants::tests::{clean, violated};
    use crate::{Judge, JudgeOptions};

    const NAME: &str = "conversation_order_agrees";

    fn talk() -> Builder {
        Builder::new(2, 1).group(1, &[1, 2]).connect_all().say(1, 1).say(2, 1).read(1, 1, 1, 0)
    }

    #[test]
    fn one_order_for_all_is_clean() {
        assert_eq!(clean(NAME, &talk().finish()).judged, 4 + 4 + 4);
    }

    #[test]
    fn two_orders_are_noticed_on_a_device_and_in_the_store() {
        for in_store in [false, true] {
            let swapped = talk().finish().tampered(|events| {
                for event in events {
                    let entry = match &mut event.is {
                        What::Stored { entry } if in_store => entry,
                        What::Shown { device, entry } if !in_store && device.user.0 == 2 => entry,
                        _ => continue,
                    };
                    if entry.sequence.0 >= 3 {
                        entry.sequence.0 = 7 - entry.sequence.0;
                    }
                }
            });
            violated(NAME, &swapped);
        }
    }

    #[test]
    fn a_page_of_old_entries_is_compared_here_and_there() {
        let page = |other: u64| {
            let talk = Builder::new(2, 1).group(1, &[1, 2]).connect_all();
            let talk = (0..60).fold(talk, |talk, _| talk.say(1, 1)).read(2, 1, 1, 0);
            let history = talk.finish().tampered(|events| {
                for event in events {
                    if let What::Read { entry, .. } = &mut event.is
                        && entry.sequence.0 == other
                    {
                        entry.said = Said::Message { hash: 4_711, parent: None };
                    }
                }
            });
            let options = JudgeOptions { keep: Some(4), evidence_max: 1, may_be_idle: Vec::new() };
            let mut judge = Judge::new(&history.header, options);
            history.events.iter().for_each(|event| judge.observe(event));
            let findings = judge.finish().findings;
            let finding = findings.into_iter().find(|found| found.invariant == NAME).unwrap();
            (finding.violations, finding.unit.contains("after compaction"))
        };
        assert_eq!((page(0), page(16), page(17)), ((0, true), (1, true), (0, true)));
        assert_eq!(page(61).0, 1, "it was not compacted");
    }
}
