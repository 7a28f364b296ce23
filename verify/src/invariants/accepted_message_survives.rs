//! **What was accepted survives.** A(m, q) before the final read of m's conversation began => m is in
//! that read, at q and with its content; so is every join and departure that was answered before, at
//! the sequence of the answer. And K(q) => a device d shows q, for every d that must see it, before the
//! users were last watched.
//!
//! - A device d of user u must see q if it ever had a stream of the conversation (or showed anything of
//!   it), q lies behind the beginning of its first stream, u is a member at q and never departs later,
//!   and the device was connected for more than `delivered_us` since max(K, H, u's last join). Users
//!   whom the scenario makes slow are left out.
//! - Judged: accepted messages, and answered joins and departures, of conversations that were read whole;
//!   known entries on devices.
//! - Excused: what retention removed: below the first stored sequence, and `retention` or more behind
//!   the head. Without `retention` in the header nothing is.
//! - Broken by: a store that lacks the first, the last or any other entry that was accepted before the
//!   read. Not by: an entry that was accepted while the read was under way.
//!
//! Streaming: the ledger holds the fingerprint and the sequence of each accepted send (32 bytes), the
//! log the stored fingerprint of each sequence (32 bytes); both are compared at the end. Of what is
//! compacted the sum of the fingerprints is compared.

use super::Check;
use crate::state::State;
use crate::state::ledger::status;
use crate::state::recent::About;
use crate::tally::Tally;

#[derive(Default)]
pub(crate) struct Invariant;

impl Check for Invariant {
    fn finish(&mut self, state: &State, tally: &mut Tally) {
        Self::find_lost_messages(state, tally);
        Self::find_lost_compacted(state, tally);
        Self::find_lost_changes(state, tally);
        state.for_each_overdue(|pair, sequence, waited| {
            let who = &state.pairs.members[(pair / state.header.devices_per_user) as usize];
            let (conversation, device) = (who.conversation as usize, state.device_of_pair(pair));
            let entry = state.logs[conversation].get(sequence);
            let about = About {
                device: Some(device),
                conversation: Some(conversation),
                sequence: Some(sequence),
                life: Some((entry.sent_at().unwrap_or(entry.known_at), entry.known_at)),
                ..About::default()
            };
            tally.late(state, about, || {
                format!(
                    "sequence {sequence} of conversation {} was {} at {:.3} s, and {} never \
                     showed it in the {:.3} s for which it was connected since",
                    conversation + 1,
                    entry.known_as(),
                    entry.known_at as f64 / 1e6,
                    state.device_name(device),
                    waited as f64 / 1e6
                )
            });
        });
    }
}

impl Invariant {
    fn find_lost_messages(state: &State, tally: &mut Tally) {
        for (sender, records) in state.ledger.by_sender() {
            for record in records.iter().filter(|record| record.acked > 0) {
                let conversation = record.conversation as usize;
                let log = &state.logs[conversation];
                // What is compacted is judged as a whole; a sender who was told its sequence, too, is not there.
                // Of what was seen at two sequences only the sum tells whether it is at this one.
                let is_there = record.seen == record.acked || record.is(status::TWICE);
                if log.is_compacted(record.acked) && is_there {
                    continue;
                }
                let entry = log.get(record.acked);
                let began = state.read_began(conversation);
                if log.whole != Some(true) || began.is_none_or(|began| entry.known_at >= began) {
                    continue;
                }
                tally.judged += 1;
                if entry.stored == record.fingerprint
                    || state.is_removed(conversation, record.acked)
                {
                    continue;
                }
                tally.violated(state, state.about_send(sender, record), || {
                    let found = if entry.stored == 0 { "nothing" } else { "something else" };
                    format!(
                        "message {} was accepted at {:.3} s as sequence {} of conversation {}, and \
                         the store has {found} there",
                        state.name_of(sender, record.id),
                        entry.known_at as f64 / 1e6,
                        record.acked,
                        conversation + 1
                    )
                });
            }
        }
    }

    /// What everybody had already is compared by its sum.
    fn find_lost_compacted(state: &State, tally: &mut Tally) {
        for (conversation, log) in state.logs.iter().enumerate() {
            let compacted_to = log.compacted_to();
            let is_read = log.whole == Some(true) && state.read_began(conversation).is_some();
            if compacted_to == 0 || !is_read {
                continue;
            }
            tally.judged += log.compacted.sends;
            // Retention took the beginning away: then `no_gap_in_sequence` judges whether the rest is there.
            if log.compacted.has_sends() || state.is_removed(conversation, 1) {
                continue;
            }
            let about = About {
                conversation: Some(conversation),
                sequence: Some(compacted_to),
                ..About::default()
            };
            tally.violated(state, about, || {
                format!(
                    "the first {compacted_to} entries of conversation {} are not what everybody had shown",
                    conversation + 1
                )
            });
        }
    }

    fn find_lost_changes(state: &State, tally: &mut Tally) {
        for who in &state.pairs.members {
            let conversation = who.conversation as usize;
            let log = &state.logs[conversation];
            let Some(began) = state.read_began(conversation).filter(|_| log.whole == Some(true))
            else {
                continue;
            };
            for (sequence, joined, at, stored) in who.answered().filter(|told| told.2 < began) {
                tally.judged += 1;
                if stored || state.is_removed(conversation, sequence) {
                    continue;
                }
                let about = About {
                    conversation: Some(conversation),
                    sequence: Some(sequence),
                    life: Some((at, at)),
                    ..About::default()
                };
                tally.violated(state, about, || {
                    format!(
                        "the {} of user {} was answered at {:.3} s as sequence {sequence} of \
                         conversation {}, and the store does not have it there",
                        if joined { "join" } else { "departure" },
                        who.user + 1,
                        at as f64 / 1e6,
                        conversation + 1
                    )
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::history::What;
    use crate::history::builder::{Builder, History};
    use crate::invariants::tests::{clean, judge, violated};
    use crate::verdict::Verdict;
    use protocol::Sequence;

    const NAME: &str = "accepted_message_survives";

    fn talk() -> Builder {
        Builder::new(3, 1).group(1, &[1, 2, 3]).connect_all().say(1, 1).say(2, 1).say(1, 1)
    }

    #[test]
    fn a_run_that_keeps_everything_is_clean() {
        assert_eq!(clean(NAME, &talk().finish()).judged, 3 + 3, "messages and joins");
    }

    #[test]
    fn a_message_that_the_store_lost_is_noticed() {
        let lost = talk().finish().tampered(|events| {
            events.retain(|e| !matches!(&e.is, What::Stored { entry } if entry.sequence.0 == 5));
        });
        let finding = violated(NAME, &lost);
        let evidence = &finding.evidence[0];
        assert!(evidence.what.contains("at 0.022 s as sequence 5"), "{finding:?}");
        assert_eq!(evidence.at, 22_000, "when it was accepted, and not the final read");
        assert!(evidence.history.iter().all(|line| line.contains("\"message\":1")), "{finding:?}");
        assert!(finding.evidence[0].history.iter().any(|line| line.contains("accepted")));
    }

    #[test]
    fn the_evidence_of_a_loss_has_the_acceptance_however_many_were_shown_it() {
        let everybody: Vec<u64> = (1..=20).collect();
        let talk = Builder::new(20, 1).group(1, &everybody).connect_all().say(1, 1).say(2, 1);
        let lost = lacking(talk.finish(), |sequence| sequence == 21);
        let [evidence] = &violated(NAME, &lost).evidence[..] else { panic!("one was lost") };
        let answers: Vec<_> =
            evidence.history.iter().filter(|line| line.contains("\"accepted\"")).collect();
        assert!(matches!(&answers[..], [one] if one.contains("\"sequence\":21")), "{evidence:?}");
        let shown = evidence.history.iter().filter(|line| line.contains("\"shown\"")).count();
        assert_eq!(shown, 2, "the others were shown the same: {evidence:?}");
        assert!(evidence.history.iter().any(|line| line.contains("\"sent\"")), "{evidence:?}");
    }

    #[test]
    fn a_conversation_that_the_store_lost_as_a_whole_is_noticed() {
        let lost = talk().finish().tampered(|events| {
            events.retain(|e| !matches!(e.is, What::Stored { .. }));
            for event in events {
                if let What::StoredAll { head, .. } = &mut event.is {
                    *head = Sequence::START;
                }
            }
        });
        assert_eq!(violated(NAME, &lost).violations, 3 + 3);
        // What the devices showed agrees.
        violated("reads_never_go_back", &lost);
        let verdict = judge(&lost).verdict;
        assert_eq!(verdict, Verdict::Violated);
    }

    #[test]
    fn a_message_that_a_device_never_showed_is_noticed() {
        let hidden = talk().finish().tampered(|events| {
            events.retain(|e| {
                !matches!(&e.is, What::Shown { device, entry }
                    if device.user.0 == 3 && entry.sequence.0 == 6)
            });
        });
        violated(NAME, &hidden);
    }

    #[test]
    fn a_device_that_is_away_at_the_end_is_not_judged() {
        clean(NAME, &talk().lose(3, 1).say(1, 1).finish());
    }

    fn lacking(history: History, is: impl Fn(u64) -> bool) -> History {
        history.tampered(|events| {
            events.retain(|e| !matches!(&e.is, What::Stored { entry } if is(entry.sequence.0)));
        })
    }

    #[test]
    fn a_lost_prefix_or_departure_is_noticed() {
        let prefix = lacking(talk().finish(), |sequence| sequence < 5).tampered(|events| {
            for event in events {
                if let What::StoredAll { first, .. } = &mut event.is {
                    *first = Sequence(5);
                }
            }
        });
        assert_eq!(violated(NAME, &prefix).violations, 3 + 1, "three joins, one message");
        let mut kept = prefix;
        kept.header.retention = Some(2);
        clean(NAME, &kept);
        let left = talk().change_member(1, 3, false).say(1, 1).finish();
        let finding = violated(NAME, &lacking(left, |sequence| sequence == 7));
        assert!(finding.evidence[0].what.contains("departure of user 3"), "{finding:?}");
    }

    #[test]
    fn what_is_accepted_while_the_final_read_is_under_way_may_be_missing_in_it() {
        let late = |read_began_first: bool| {
            let mut history = lacking(talk().finish(), |sequence| sequence == 6);
            let at = |history: &History, is: &dyn Fn(&What) -> bool| {
                history.events.iter().rposition(|event| is(&event.is)).expect("it is there")
            };
            let accepted = at(&history, &|is| matches!(is, What::Accepted { .. }));
            let event = history.events.remove(accepted);
            // Nobody but its sender hears of it before the end.
            history
                .events
                .retain(|e| !matches!(&e.is, What::Shown { entry, .. } if entry.sequence.0 == 6));
            let began = at(&history, &|is| matches!(is, What::StoredBegan { .. }));
            history.events.insert(began + usize::from(read_began_first), event);
            let mut now = 0;
            for event in &mut history.events {
                now = event.at.max(now + 1);
                event.at = now;
            }
            for event in &mut history.events {
                if let What::StoredAll { head, .. } = &mut event.is {
                    *head = Sequence(5);
                }
            }
            history
        };
        clean(NAME, &late(true));
        clean("reads_never_go_back", &late(true));
        violated(NAME, &late(false));
        violated("reads_never_go_back", &late(false));
    }
}
