//! **What was accepted survives.** A(m, q) => at the end m is in the store at q, and for every device
//! d that must see it D(d, m, q).
//!
//! A device must see q if its first stream began behind some `from < q`, its user is a member at q and ever
//! since, it is attached at the end, and max(A, H, attached) + `delivered_us` lies before the end. Devices
//! that are away at the end are counted, not judged. Entries below `StoredAll.first` were removed by
//! retention; a conversation whose final read is not whole is not judged in the store.
//!
//! Streaming: the ledger holds the fingerprint and the sequence of each accepted send (32 bytes),
//! the log the stored fingerprint of each sequence (24 bytes); both are compared at the end.

use super::Check;
use crate::ground::Ground;
use crate::ground::recent::About;
use crate::tally::Tally;

#[derive(Default)]
pub(crate) struct Invariant;

impl Check for Invariant {
    fn finish(&mut self, ground: &Ground, tally: &mut Tally) {
        for (lane, records) in ground.ledger.lanes() {
            for record in records.iter().filter(|record| record.acked > 0) {
                let conversation = record.conversation as usize;
                let log = &ground.logs[conversation];
                if log.whole != Some(true) {
                    continue;
                }
                tally.judged += 1;
                let stored = log.get(record.acked).stored;
                if stored == record.print || ground.is_removed(conversation, record.acked) {
                    continue;
                }
                let about = About {
                    device: Some(lane),
                    conversation: Some(conversation),
                    sequence: Some(record.acked),
                    message: Some(record.id),
                    ..About::default()
                };
                tally.violated(ground, about, || {
                    let found = if stored == 0 { "nothing" } else { "something else" };
                    format!(
                        "message {} of {} was accepted as sequence {} of conversation {}, and the \
                         store has {found} there",
                        record.id,
                        ground.device_name(lane),
                        record.acked,
                        conversation + 1
                    )
                });
            }
        }
        let away = ground.for_each_overdue(|pair, sequence, _| {
            let who = &ground.pairs.whos[(pair / ground.header.devices_per_user) as usize];
            let device = ground.device_of_pair(pair);
            let about = About {
                device: Some(device),
                conversation: Some(who.conversation as usize),
                sequence: Some(sequence),
                ..About::default()
            };
            tally.violated(ground, about, || {
                format!(
                    "sequence {sequence} of conversation {} was accepted, and {} never showed it",
                    who.conversation + 1,
                    ground.device_name(device)
                )
            });
        });
        if away > 0 {
            tally.note = Some(format!("{away} due on devices that were away, not judged"));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::history::What;
    use crate::history::builder::Builder;
    use crate::invariants::tests::{clean, judge, violated};
    use crate::verdict::Verdict;
    use protocol::Sequence;

    const NAME: &str = "accepted_message_survives";

    fn talk() -> Builder {
        Builder::new(3, 1).group(1, &[1, 2, 3]).connect_all().say(1, 1).say(2, 1).say(1, 1)
    }

    #[test]
    fn a_run_that_keeps_everything_is_clean() {
        assert_eq!(clean(NAME, &talk().finish()).judged, 3);
    }

    #[test]
    fn a_message_that_the_store_lost_is_noticed() {
        let lost = talk().finish().tampered(|events| {
            events.retain(|e| !matches!(&e.is, What::Stored { entry } if entry.sequence.0 == 5));
        });
        let finding = violated(NAME, &lost);
        assert!(finding.evidence[0].what.contains("accepted as sequence 5"), "{finding:?}");
        assert!(finding.evidence[0].history.iter().any(|line| line.contains("accepted")));
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
        assert_eq!(violated(NAME, &lost).violations, 3);
        // What the devices showed tells the same story.
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
    fn a_device_that_is_away_at_the_end_is_counted_and_not_judged() {
        let away = talk().lose(3, 1).say(1, 1).finish();
        let finding = clean(NAME, &away);
        assert!(finding.unit.contains("1 due on devices that were away"), "{}", finding.unit);
    }
}
