//! **The answer tells the truth.** Every answer to a send, retries included, names the same sequence q;
//! and the entry that anybody sees at q is that message, and no other entry is.
//!
//! - Judged: answers, and observations at a sequence that was told.
//! - Excused: a further answer to a send, and a further observation of an entry, that were compacted.
//! - Broken by: a retry that is told another sequence. Not by: the same answer twice.
//!
//! Streaming: the ledger holds the sequence that was told first (4 bytes per send), the log the
//! fingerprint of what was promised for each sequence (4 bytes): whichever comes second is compared.

use super::Check;
use crate::history::event::{Event, What};
use crate::state::ledger::status;
use crate::state::recent::About;
use crate::state::{State, Step};
use crate::tally::Tally;

#[derive(Default)]
pub(crate) struct Invariant;

impl Check for Invariant {
    fn observe(&mut self, state: &State, step: &Step, event: &Event, tally: &mut Tally) {
        let fault = match &event.is {
            What::Accepted { .. } => match answered(step, tally) {
                Some(fault) => fault,
                None => return,
            },
            What::Shown { .. }
            | What::Received { .. }
            | What::Read { .. }
            | What::Stored { .. } => {
                let same = |conversation| conversation as usize == step.conversation;
                let told = step.send.filter(|(_, r)| r.acked != 0 && same(r.conversation));
                let is_told = step.log.acked != 0 || told.is_some();
                tally.judged += u64::from(is_told);
                // The final read is compared by its sum, under `conversation_order_agrees`.
                let is_stored = matches!(event.is, What::Stored { .. });
                tally.compacted(u64::from(!is_told && step.is_compacted && !is_stored));
                if step.log.acked != 0 && step.log.acked != step.fingerprint {
                    "another send was told that it is there".to_owned()
                } else if let Some((_, record)) = told.filter(|(_, r)| r.acked != step.sequence) {
                    format!("its sender was told {}", record.acked)
                } else if step.is_old_send && !step.is_compacted {
                    "it had another sequence before".to_owned()
                } else {
                    return;
                }
            }
            _ => return,
        };
        let record = step.send.map(|(_, record)| record);
        let about = About {
            device: step.send.map(|(slot, _)| slot.sender as usize),
            conversation: Some(step.conversation),
            sequence: Some(step.sequence),
            other: record.map(|r| if r.acked == step.sequence { r.seen } else { r.acked }),
            message: step.send.map(|(slot, record)| {
                let devices = u64::from(state.header.devices_per_user);
                (u64::from(slot.sender) / devices + 1, record.id)
            }),
            life: None,
        };
        tally.violated(state, about, || {
            let name = step.send.map_or_else(
                || "an entry".to_owned(),
                |(slot, record)| {
                    format!("message {}", state.name_of(slot.sender as usize, record.id))
                },
            );
            let conversation = step.conversation + 1;
            format!(
                "{name} is sequence {} of conversation {conversation}, and {fault}",
                step.sequence
            )
        });
    }
}

/// What is wrong with an answer.
fn answered(step: &Step, tally: &mut Tally) -> Option<String> {
    let Some((_, record)) = step.send else {
        tally.compacted(u64::from(step.is_old_send));
        return None;
    };
    tally.judged += 1;
    let fault = if record.conversation as usize != step.conversation {
        "it was sent to another conversation".to_owned()
    } else if record.acked != 0 && record.acked != step.sequence {
        format!("it was accepted as sequence {} before", record.acked)
    } else if record.seen != 0 && record.seen != step.sequence {
        format!("it was seen as sequence {}", record.seen)
    } else if record.is(status::TWICE) {
        "it was seen under other sequences, too".to_owned()
    } else if step.is_compacted && record.seen != step.sequence {
        "another entry was there before".to_owned()
    } else if step.log.disputed || (step.log.seen != 0 && step.log.seen != record.fingerprint) {
        "another entry was seen there".to_owned()
    } else if step.log.acked != 0 && step.log.acked != record.fingerprint {
        "another send was told the same".to_owned()
    } else {
        return None;
    };
    Some(fault)
}

#[cfg(test)]
mod tests {
    use crate::history::What;
    use crate::history::builder::Builder;
    use crate::invariants::tests::{clean, violated};
    use protocol::Sequence;

    const NAME: &str = "sequence_agrees_with_ack";

    fn talk() -> Builder {
        Builder::new(2, 1).group(1, &[1, 2]).connect_all().say(1, 1).say(2, 1)
    }

    #[test]
    fn true_answers_also_repeated_are_clean() {
        assert!(clean(NAME, &talk().accept(1).finish()).judged >= 7);
    }

    #[test]
    fn a_retry_that_is_told_another_sequence_is_noticed() {
        let told_twice = talk().accept(1).finish().tampered(|events| {
            let repeated = events.iter_mut().rev().find_map(|event| match &mut event.is {
                What::Accepted { sequence, .. } => Some(sequence),
                _ => None,
            });
            *repeated.unwrap() = Sequence(9);
        });
        violated(NAME, &told_twice);
    }

    #[test]
    fn another_entry_at_the_promised_place_is_noticed() {
        let moved = talk().finish().tampered(|events| {
            for event in events {
                if let What::Shown { entry, .. } | What::Stored { entry } = &mut event.is
                    && entry.sequence.0 >= 3
                {
                    entry.sequence.0 += 1;
                }
            }
        });
        violated(NAME, &moved);
    }
}
